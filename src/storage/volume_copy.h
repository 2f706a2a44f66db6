// Filling a volume from a file. For installers, which make a disk as a sparse file first where the volume is
// not one that tools of this host can open.
#pragma once

#include <filesystem>
#include <functional>

#include "storage/volume.h"

namespace kz::storage {

// Writes the parts of `file` that hold data to the same places of the volume; what the file leaves out (its
// holes) stays as it is there. The first block is cleared first and written last: a volume whose filling was
// cut short does not boot. Durable when it returns. `done` (may be empty) is called with the bytes written so
// far. Errors: those of the volume, Errc::invalid_argument when the data do not fit in `limit` bytes,
// Errc::cancelled.
Result<void> copy_file_to_volume(const std::filesystem::path& file, Volume& volume, std::uint64_t limit,
                                 const std::function<void(std::uint64_t)>& done, int cancel_fd);

}  // namespace kz::storage
