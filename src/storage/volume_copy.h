// Filling a volume from a file. For installers, which make a disk as a sparse file first where the volume is
// not one that tools of this host can open.
#pragma once

#include <filesystem>
#include <functional>

#include "storage/volume.h"

namespace kz::storage {

enum class Holes {
    skip = 1,  // what the file leaves out stays as it is in the volume: for one that was blank
    clear,     // what the volume holds there is overwritten with zeros
};

// Writes the parts of `file` that hold data to the same places of the volume, up to `limit` bytes; of the
// others `holes` tells. The first block is cleared first and written last: a volume whose filling was cut
// short does not boot. Durable when it returns. `done` (may be empty) is called with the bytes written so
// far. Errors: those of the volume, Errc::invalid_argument when the data do not fit in `limit` bytes,
// Errc::cancelled.
Result<void> copy_file_to_volume(const std::filesystem::path& file, Volume& volume, std::uint64_t limit,
                                 Holes holes, const std::function<void(std::uint64_t)>& done, int cancel_fd);

// The other way: the first `bytes` of the volume into a file that exists and is empty, with holes where there
// are zeros. The file is `bytes` long afterwards. Errors: those of the volume and the file, Errc::cancelled.
Result<void> copy_volume_to_file(Volume& volume, std::uint64_t bytes, const std::filesystem::path& file,
                                 int cancel_fd);

}  // namespace kz::storage
