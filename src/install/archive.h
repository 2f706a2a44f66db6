// Disk images as distributions ship them for clouds, put on a zone's disk. For the command that installs
// zones.
//
// Theory of operation
//
// An archive may come from anywhere. It is raw or qcow2, alone or packed by gzip, xz or zstd; which, its
// first bytes say, never its name. It is copied (and unpacked) into a file of our own first, so that what was
// looked at is what is used. qcow2 that would open other files (a backing file, an external data file) or
// that is encrypted is refused here; the rest QEMU's block layer turns into a raw image, in a process without
// rights, network or anything else to open. Then the partition table is made that of the larger disk, and the
// last MiB of what the zone sees gets the seed of cloud-init (seed.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "install/activity.h"
#include "install/seed.h"
#include "os/paths.h"

namespace kz::install {

enum class ImageFormat { raw = 1, qcow2 };

struct ImageHeader {
    ImageFormat format = ImageFormat::raw;
    std::uint64_t virtual_size = 0;  // bytes; 0 for raw: the file's size
};

inline constexpr std::size_t kImageHeaderSize = 64 * 1024;

// What the first kImageHeaderSize bytes (or all that there are) of an image say. Errors: Errc::unsupported
// for other formats, which are named where they are known, and for qcow2 that is not taken; Errc::corrupt.
Result<ImageHeader> probe_image(ByteView start);

struct Archive {
    Path file;
    std::string unpacker;  // a program: "gzip", "xz", "zstd"; empty: not packed
};

// Errors: those of opening; those of probe_image() for one that is not packed.
Result<Archive> open_archive(const Path& file);

struct ArchiveRequest {
    Archive archive;
    Path disk;  // a raw file, to be filled; sparse
    std::uint64_t usable_bytes = 0;
    bool uefi = false;  // the zone's firmware
    Path work_dir;
    uid_t uid = 0;  // who reads the image's metadata
    Seed seed;
    Activity activity;
};

// Errors: Errc::no_space for an image that is larger than the disk.
Result<void> install_archive(const ArchiveRequest& request);

}  // namespace kz::install
