// Medium: the bytes below an image: a file now, any volume of src/storage behind the same interface. For
// src/image and those who bring a medium of their own.
#pragma once

#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/fd.h"
#include "os/paths.h"

namespace kz::image {

// Reads and writes may come from several threads at once.
class Medium {
  public:
    virtual ~Medium() = default;
    // Exactly out.size() bytes; fewer there is Errc::corrupt.
    virtual Result<void> read_at(std::uint64_t offset, MutableBytes out) = 0;
    // Errors: Errc::no_space when the medium is full.
    virtual Result<void> write_at(std::uint64_t offset, ByteView bytes) = 0;
    // Bytes from which the footer is found: the file's length, or the device's.
    virtual Result<std::uint64_t> size() = 0;
    // The size that the medium has and keeps, a multiple of 4096 (a device); nothing when it grows (a file).
    virtual std::optional<std::uint64_t> fixed_size() const = 0;
    // Returns when all that was written survives a power cut.
    virtual Result<void> sync() = 0;
    // Called once after the last sync: the image is whole and may get its name. What was never published
    // disappears with the medium object, where the medium can do that.
    virtual Result<void> publish() = 0;
};

// A new image file: it is PATH.tmp (mode 0600) until publish() renames it to PATH over what was there. The
// temporary file is removed by the destructor unless published; one that a crash has left is overwritten.
// Errors: Errc::busy when another process is writing the same image.
Result<std::unique_ptr<Medium>> create_file_medium(const Path& path);

// Removes what a crash has left of an image file that was being written, if there is anything and nobody
// writes it now.
void remove_file_draft(const Path& path);

// An existing image file, for reading. Errors: Errc::not_found, Errc::permission; Errc::invalid_argument when
// it is not a regular file.
Result<std::unique_ptr<Medium>> open_file_medium(const Path& path);

}  // namespace kz::image
