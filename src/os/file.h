// Files: reading with a cap, replacing atomically and durably, locks. For every floor that keeps state on
// disk.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/bytes.h"
#include "base/fd.h"
#include "os/deadline.h"
#include "os/paths.h"

namespace kz {

// The whole file; more than `cap` bytes is Errc::invalid_argument. A missing file is Errc::not_found.
Result<std::string> read_file(const Path& path, std::size_t cap);

// Writes a new file beside `path`, fsyncs it, renames it over `path` and fsyncs the folder: after a crash at
// any point the old or the new content is there, whole. Errors leave the old file and no temporary one; so
// does a crash while the content is being written.
Result<void> write_file_atomic(const Path& path, std::string_view content, mode_t mode);

// Creates the folder with `mode`, and the parents that are missing with 0755.
Result<void> make_directories(const Path& path, mode_t mode);

// Removes a file; a missing one is no error. Makes the removal durable.
Result<void> remove_file(const Path& path);

Result<UniqueFd> open_file(const Path& path, int flags, mode_t mode = 0);
Result<void> sync_directory(const Path& folder);

// An exclusive flock on a file that it creates (mode 0600) when missing; held until destroyed. The kernel
// drops it when the holder dies. Errors: Errc::busy when the deadline passes first.
class FileLock {
  public:
    static Result<FileLock> acquire(const Path& path, Deadline deadline);
    // Whether somebody holds the lock now (a missing file is not held). Takes nothing.
    static bool held(const Path& path);

  private:
    explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace kz
