// Theory of operation: see gpt.cc for the layout of a GPT. The table is read with its checksums, changed in
// memory, and written with new ones: entries, then the copy at the end, then the header. An MBR has four
// entries of 16 bytes at 446: 4 type, 8 first sector, 12 number of sectors (32 bits, little-endian).
#include "install/partition_edit.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "install/gpt.h"
#include "os/io.h"
#include "os/uuid.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxEntries = 1024;
constexpr std::size_t kMinEntrySize = 128;
constexpr std::size_t kMaxEntrySize = 4096;
constexpr std::size_t kMinHeader = 92;
constexpr std::size_t kMbrEntries = 446;
constexpr Byte kProtective = 0xee;
constexpr Byte kLinuxType = 0x83;
constexpr Byte kMbrEfiSystem = 0xef;
constexpr std::string_view kLinuxData = "0fc63daf-8483-4772-8e79-3d69d8477de4";

Result<Bytes> read_at(int fd, std::uint64_t offset, std::size_t size) {
    Bytes bytes(size);
    for (std::size_t done = 0; done < size;) {
        const ssize_t got = ::pread(fd, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, "reading the disk");
        if (got == 0) return fail(Errc::corrupt, "the disk ends within its partition table");
        done += static_cast<std::size_t>(got);
    }
    return bytes;
}

struct Table {
    Bytes mbr;
    bool gpt = false;
    Bytes header;   // one sector
    Bytes entries;  // as they are on the disk
    std::uint32_t entry_count = 0;
    std::uint32_t entry_size = 0;

    Byte* entry(std::uint32_t index) { return entries.data() + std::size_t{index} * entry_size; }
    const Byte* entry(std::uint32_t index) const { return entries.data() + std::size_t{index} * entry_size; }
    std::uint64_t entries_sectors() const { return (entries.size() + kSectorSize - 1) / kSectorSize; }
};

Result<void> read_gpt(int fd, Table& table) {
    KZ_TRY(table.header, read_at(fd, kSectorSize, kSectorSize));
    const Byte* header = table.header.data();
    if (!std::ranges::equal(ByteView(header, 8), std::string_view("EFI PART")))
        return fail(Errc::corrupt, "the disk's GPT has no header");
    const auto size = load_le<std::uint32_t>(header + 12);
    if (size < kMinHeader || size > kSectorSize)
        return fail(Errc::corrupt, "the GPT's header has a wrong size");
    Bytes unsummed(table.header.begin(), table.header.begin() + size);
    std::fill_n(unsummed.begin() + 16, 4, Byte{0});
    if (gpt_crc32(unsummed) != load_le<std::uint32_t>(header + 16))
        return fail(Errc::corrupt, "the GPT's header has a wrong checksum");
    table.entry_count = load_le<std::uint32_t>(header + 80);
    table.entry_size = load_le<std::uint32_t>(header + 84);
    const auto where = load_le<std::uint64_t>(header + 72);
    if (table.entry_count == 0 || table.entry_count > kMaxEntries || table.entry_size < kMinEntrySize ||
        table.entry_size > kMaxEntrySize || where < 2 || where > (1U << 20))
        return fail(Errc::corrupt, "the GPT's entries are out of bounds");
    KZ_TRY(table.entries,
           read_at(fd, where * kSectorSize, std::size_t{table.entry_count} * table.entry_size));
    if (gpt_crc32(table.entries) != load_le<std::uint32_t>(header + 88))
        return fail(Errc::corrupt, "the GPT's entries have a wrong checksum");
    return {};
}

Result<Table> read_table(int fd) {
    Table table;
    KZ_TRY(table.mbr, read_at(fd, 0, kSectorSize));
    if (table.mbr[510] != 0x55 || table.mbr[511] != 0xaa)
        return fail(Errc::corrupt, "the disk has no partition table");
    table.gpt = std::ranges::any_of(std::array{0, 1, 2, 3}, [&](int i) {
        return table.mbr[kMbrEntries + 16U * static_cast<unsigned>(i) + 4] == kProtective;
    });
    if (table.gpt) KZ_CHECK(read_gpt(fd, table));
    return table;
}

std::string entry_name(const Byte* entry) {
    std::string name;
    for (std::size_t i = 56; i < kMinEntrySize && entry[i] != 0; i += 2)
        name += static_cast<char>(entry[i]);
    return name;
}

bool is_used(const Byte* entry) {
    return std::any_of(entry, entry + 16, [](Byte byte) { return byte != 0; });
}

std::vector<Partition> partitions_of(const Table& table) {
    std::vector<Partition> partitions;
    for (std::uint32_t i = 0; table.gpt && i < table.entry_count; ++i) {
        const Byte* entry = table.entry(i);
        if (is_used(entry))
            partitions.push_back(
                {load_le<std::uint64_t>(entry + 32), load_le<std::uint64_t>(entry + 40), entry_name(entry)});
    }
    for (std::size_t i = 0; !table.gpt && i < 4; ++i) {
        const Byte* entry = table.mbr.data() + kMbrEntries + 16 * i;
        const std::uint64_t first = load_le<std::uint32_t>(entry + 8);
        const std::uint64_t count = load_le<std::uint32_t>(entry + 12);
        if (entry[4] != 0 && count > 0) partitions.push_back({first, first + count - 1, {}});
    }
    return partitions;
}

bool has_efi_system(const Table& table) {
    for (std::uint32_t i = 0; table.gpt && i < table.entry_count; ++i) {
        if (is_gpt_type(table.entry(i), kEfiSystemType)) return true;
    }
    for (std::size_t i = 0; !table.gpt && i < 4; ++i) {
        if (table.mbr[kMbrEntries + 16 * i + 4] == kMbrEfiSystem) return true;
    }
    return false;
}

void seal_header(Bytes& header) {
    const auto size = load_le<std::uint32_t>(header.data() + 12);
    std::fill_n(header.begin() + 16, 4, Byte{0});
    store_le(header.data() + 16, gpt_crc32(ByteView(header).first(size)));
}

// Both copies, for a disk of so many sectors. The primary's entries stay where they are.
Result<void> write_gpt(int fd, Table& table, std::uint64_t sectors) {
    const std::uint64_t backup_entries = sectors - 1 - std::min(sectors - 1, table.entries_sectors());
    const auto primary_entries = load_le<std::uint64_t>(table.header.data() + 72);
    if (primary_entries + table.entries_sectors() > backup_entries)
        return fail(Errc::corrupt, "the GPT's entries are out of bounds");
    store_le(table.header.data() + 24, std::uint64_t{1});
    store_le(table.header.data() + 32, sectors - 1);
    store_le(table.header.data() + 48, backup_entries - 1);
    store_le(table.header.data() + 88, gpt_crc32(table.entries));
    Bytes backup = table.header;
    store_le(backup.data() + 24, sectors - 1);
    store_le(backup.data() + 32, std::uint64_t{1});
    store_le(backup.data() + 72, backup_entries);
    seal_header(table.header);
    seal_header(backup);
    for (std::size_t i = 0; i < 4; ++i) {
        Byte* entry = table.mbr.data() + kMbrEntries + 16 * i;
        if (entry[4] == kProtective)
            store_le(entry + 12, static_cast<std::uint32_t>(std::min<std::uint64_t>(
                                     sectors - load_le<std::uint32_t>(entry + 8), 0xffffffffU)));
    }
    KZ_CHECK_CONTEXT(write_at(fd, table.entries, backup_entries * kSectorSize), "writing the disk");
    KZ_CHECK_CONTEXT(write_at(fd, backup, (sectors - 1) * kSectorSize), "writing the disk");
    KZ_CHECK_CONTEXT(write_at(fd, table.entries, primary_entries * kSectorSize), "writing the disk");
    KZ_CHECK_CONTEXT(write_at(fd, table.header, kSectorSize), "writing the disk");
    KZ_CHECK_CONTEXT(write_at(fd, table.mbr, 0), "writing the disk");
    return {};
}

Result<void> add_gpt_entry(Table& table, const Partition& partition) {
    for (std::uint32_t i = 0; i < table.entry_count; ++i) {
        Byte* entry = table.entry(i);
        if (is_used(entry)) continue;
        KZ_TRY(const std::string own, random_uuid());
        return encode_gpt_entry(entry, kLinuxData, own, partition.first, partition.last, partition.name);
    }
    return fail(Errc::no_space, "the partition table is full");
}

Result<void> add_mbr_entry(Table& table, const Partition& partition) {
    for (std::size_t i = 0; i < 4; ++i) {
        Byte* entry = table.mbr.data() + kMbrEntries + 16 * i;
        if (entry[4] != 0) continue;
        if (partition.last > 0xffffffffU) return fail(Errc::no_space, "the disk is too large for an MBR");
        std::fill_n(entry, 16, Byte{0});
        entry[4] = kLinuxType;
        store_le(entry + 8, static_cast<std::uint32_t>(partition.first));
        store_le(entry + 12, static_cast<std::uint32_t>(partition.last + 1 - partition.first));
        return {};
    }
    return fail(Errc::no_space, "the partition table is full");
}

}  // namespace

Result<std::vector<Partition>> read_partitions(int fd) {
    KZ_TRY(const Table table, read_table(fd));
    return partitions_of(table);
}

Result<BootWays> boot_ways(int fd) {
    KZ_TRY(const Table table, read_table(fd));
    const ByteView code = ByteView(table.mbr).first(kBootCodeSize);
    return BootWays{.bios = std::ranges::any_of(code, [](Byte byte) { return byte != 0; }),
                    .uefi = has_efi_system(table)};
}

Result<void> grow_table(int fd, std::uint64_t bytes) {
    KZ_TRY(Table table, read_table(fd));
    const std::uint64_t sectors = bytes / kSectorSize;
    for (const Partition& partition : partitions_of(table)) {
        const std::uint64_t end = table.gpt ? sectors - 1 - table.entries_sectors() : sectors;
        if (partition.last < partition.first || partition.last >= end)
            return fail(Errc::no_space, "the disk has {} bytes; a partition of the image reaches beyond that",
                        bytes);
    }
    return table.gpt ? write_gpt(fd, table, sectors) : Result<void>();
}

Result<Partition> append_partition(int fd, std::uint64_t disk_bytes, std::uint64_t bytes,
                                   std::string_view name) {
    KZ_TRY(Table table, read_table(fd));
    constexpr std::uint64_t kAlignment = kMebibyte / kSectorSize;
    const std::uint64_t sectors = disk_bytes / kSectorSize;
    const std::uint64_t reserved = table.gpt ? table.entries_sectors() + 1 : 0;
    const std::uint64_t size = (bytes + kMebibyte - 1) / kMebibyte * kAlignment;
    const std::uint64_t end = (sectors - std::min(reserved, sectors)) / kAlignment * kAlignment;
    std::uint64_t used = kAlignment;
    for (const Partition& partition : partitions_of(table))
        used = std::max(used, partition.last + 1);
    if (end < size || end - size < used)
        return fail(
            Errc::no_space,
            "there is no room for {} MiB behind the last partition; the disk must be larger than the image",
            size / kAlignment);
    const Partition partition{end - size, end - 1, std::string(name)};
    KZ_CHECK(table.gpt ? add_gpt_entry(table, partition) : add_mbr_entry(table, partition));
    if (table.gpt) {
        KZ_CHECK(write_gpt(fd, table, sectors));
    } else {
        KZ_CHECK_CONTEXT(write_at(fd, table.mbr, 0), "writing the disk");
    }
    return partition;
}

}  // namespace kz::install
