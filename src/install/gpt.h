// The partition table of a zone's disk: a partition for the boot loader of each firmware, one for the root.
// For the installers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace kz::install {

constexpr std::uint64_t kSectorSize = 512;
constexpr std::uint64_t kMebibyte = 1024 * 1024;

// What of a disk's first sector is a boot loader's code.
inline constexpr std::size_t kBootCodeSize = 440;
inline constexpr std::string_view kEfiSystemType = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

// In sectors; last ones are included.
struct DiskLayout {
    std::uint64_t sectors = 0;
    std::uint64_t boot_first = 0;
    std::uint64_t boot_last = 0;
    std::uint64_t esp_first = 0;
    std::uint64_t esp_last = 0;
    std::uint64_t root_first = 0;
    std::uint64_t root_last = 0;
};

// GRUB for BIOS gets 1 MiB at 1 MiB, the EFI system partition kEspBytes behind it, the root the rest, to a
// multiple of 1 MiB. `usable_bytes` is what the zone sees of its disk; the table's copy ends there, so that
// the host's own data behind it stays untouched. Errors: Errc::invalid_argument when it is no multiple of 512
// or below 24 MiB.
inline constexpr std::uint64_t kEspBytes = 14 * kMebibyte;
Result<DiskLayout> plan_disk(std::uint64_t usable_bytes);

struct PartitionTable {
    Bytes primary;                    // at byte 0: protective MBR, header, entries (34 sectors)
    Bytes backup;                     // at byte backup_offset: entries, header (33 sectors)
    std::uint64_t backup_offset = 0;  // bytes
};
// As random_uuid() makes them.
struct DiskUuids {
    std::string disk;
    std::string boot;
    std::string esp;
    std::string root;
};
Result<DiskUuids> random_disk_uuids();
// Errors: Errc::invalid_argument when a UUID is none.
Result<PartitionTable> encode_gpt(const DiskLayout& layout, const DiskUuids& uuids);

// One of a table's entries, 128 bytes. `type` and `own` are texts of UUIDs. Errors: Errc::invalid_argument.
Result<void> encode_gpt_entry(Byte* out, std::string_view type, std::string_view own, std::uint64_t first,
                              std::uint64_t last, std::string_view name);
// Whether an entry is of that type, such as kEfiSystemType.
bool is_gpt_type(const Byte* entry, std::string_view type);
// The checksum of headers and entries.
std::uint32_t gpt_crc32(ByteView bytes);

}  // namespace kz::install
