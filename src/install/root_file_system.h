// The root file system of a zone's disk, looked at and changed without mounting it. For making clones.
//
// Files go in and out by debugfs, after e2fsck has put in order what a zone that was powered off has left.
// Nothing of the disk runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "install/activity.h"
#include "install/partition_edit.h"
#include "os/paths.h"

namespace kz::install {

class RootFileSystem {
  public:
    // `disk`: a raw file, on which `root` is a partition with ext4.
    RootFileSystem(Path disk, const Partition& root, const Activity& activity);

    // Replays the journal and mends what can be mended. `folder` takes a copy meanwhile where that is needed.
    // Errors: Errc::corrupt for what cannot be put right without a human.
    Result<void> check(const Path& folder) const;
    // Requests of debugfs, whose answers come back. They are relative to `folder` where they name files of
    // the host. debugfs says of no request whether it was done.
    Result<std::string> run(const std::vector<std::string>& requests, const Path& folder, bool write) const;
    Result<bool> has(const std::string& path, const Path& folder) const;

  private:
    Result<void> run_e2fsck(const std::string& device) const;

    Path disk_;
    std::uint64_t offset_;
    std::uint64_t size_;
    std::string device_;
    const Activity& activity_;
};

}  // namespace kz::install
