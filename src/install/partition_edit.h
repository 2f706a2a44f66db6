// The partition table of a disk that was copied to a larger one, and room for the seed on it. For the
// installer of archives and for clones. GPT (format: gpt.cc) and the four primary partitions of an MBR are
// understood.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace kz::install {

struct Partition {
    std::uint64_t first = 0;  // sectors of 512 bytes
    std::uint64_t last = 0;   // included
    std::string name;         // GPT only
};

// The partitions of the disk that `fd` holds open, in the table's order. Errors: Errc::corrupt for a disk
// without a table, and one whose table contradicts itself.
Result<std::vector<Partition>> read_partitions(int fd);

// What may start from the disk, as far as its first sector and its table tell: code that a BIOS runs, a
// partition in which UEFI looks.
struct BootWays {
    bool bios = false;
    bool uefi = false;
};
Result<BootWays> boot_ways(int fd);

// Makes the table that of a disk of `bytes` (a multiple of 512): a GPT's copy moves to the end.
Result<void> grow_table(int fd, std::uint64_t bytes);

// Adds a partition called `name` of `bytes`, in whole MiB, behind all others and as far back as it goes.
// Errors: Errc::no_space when nothing is free there, or no entry is.
Result<Partition> append_partition(int fd, std::uint64_t disk_bytes, std::uint64_t bytes,
                                   std::string_view name);

}  // namespace kz::install
