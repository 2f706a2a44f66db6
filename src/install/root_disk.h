// A zone's disk from a tree of files: GPT, GRUB for BIOS and for UEFI, one ext4 root. For the installers.
//
// Nothing is mounted: mke2fs copies the tree, and the boot loader's images are put in their places.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "install/activity.h"
#include "os/paths.h"

namespace kz::install {

struct RootDisk {
    Path disk;                       // a raw file or a block device; exists, and its content is lost
    std::uint64_t usable_bytes = 0;  // what the zone sees of it; what lies behind is not touched
    Path tree;
    std::string root_uuid;
    unsigned journal_mebibytes = 0;  // 0: what mke2fs takes for the size
};

// Whether the disk is there, is large enough and can be laid out. Errors: Errc::busy for a block device that
// the host itself uses, Errc::no_space, Errc::invalid_argument.
Result<void> check_root_disk(const Path& disk, std::uint64_t usable_bytes);

// Small files lie in `work_dir` meanwhile. The first sector is cleared first and written last: after an error
// the disk does not boot. Errors: Errc::no_space when the tree does not fit.
Result<void> write_root_disk(const RootDisk& what, const Path& work_dir, const Activity& activity);

}  // namespace kz::install
