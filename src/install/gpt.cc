// Theory of operation: UEFI specification 2.10, chapter 5. Sector 0 holds a protective MBR (its first 440
// bytes are the boot loader's), sector 1 the header, sectors 2-33 128 entries of 128 bytes; the disk's last
// 33 sectors hold the same entries and a header that names its own place. Header, little-endian, 92 bytes:
//   0 "EFI PART"  8 revision 0x00010000  12 header size  16 CRC32 of the header with this field 0  24 own
//   sector 32 the other header's sector  40 first and 48 last sector for partitions  56 disk GUID  72 sector
//   of the entries 80 their number  84 their size  88 their CRC32
// Entry: 0 type GUID  16 own GUID  32 first and 40 last sector  48 attributes  56 name in UTF-16LE.
#include "install/gpt.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "os/uuid.h"

namespace kz::install {
namespace {

constexpr std::uint64_t kEntriesSectors = 32;
constexpr std::size_t kEntrySize = 128;
constexpr std::uint32_t kEntryCount = 128;
constexpr std::size_t kHeaderSize = 92;
constexpr std::uint64_t kAlignment = kMebibyte / kSectorSize;

constexpr std::string_view kBiosBootType = "21686148-6449-6e6f-744e-656564454649";
// "Root partition of x86-64" of the Discoverable Partitions Specification.
constexpr std::string_view kRootType = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";

using Guid = std::array<Byte, 16>;

// On the disk the first three groups of a GUID are little-endian.
Result<Guid> parse_guid(std::string_view uuid) {
    std::string digits(uuid);
    std::erase(digits, '-');
    KZ_TRY(const Bytes bytes, from_hex(digits));
    constexpr std::array<std::size_t, 16> kOrder = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    Guid guid;
    if (bytes.size() != guid.size()) return fail(Errc::invalid_argument, "'{}' is not a UUID", uuid);
    for (std::size_t i = 0; i < guid.size(); ++i)
        guid[i] = bytes[kOrder[i]];
    return guid;
}

struct HeaderPlace {
    std::uint64_t own;
    std::uint64_t other;
    std::uint64_t entries;
};

Bytes encode_header(const DiskLayout& layout, const Guid& disk, const HeaderPlace& place, ByteView entries) {
    Bytes header(kSectorSize);
    Byte* out = header.data();
    std::ranges::copy(std::string_view("EFI PART"), out);
    store_le<std::uint32_t>(out + 8, 0x00010000);
    store_le<std::uint32_t>(out + 12, kHeaderSize);
    store_le(out + 24, place.own);
    store_le(out + 32, place.other);
    store_le(out + 40, 2 + kEntriesSectors);
    store_le(out + 48, layout.sectors - kEntriesSectors - 2);
    std::ranges::copy(disk, out + 56);
    store_le(out + 72, place.entries);
    store_le(out + 80, kEntryCount);
    store_le<std::uint32_t>(out + 84, kEntrySize);
    store_le(out + 88, gpt_crc32(entries));
    store_le(out + 16, gpt_crc32(ByteView(out, kHeaderSize)));
    return header;
}

Bytes encode_protective_mbr(std::uint64_t sectors) {
    Bytes mbr(kSectorSize);
    Byte* entry = mbr.data() + 446;
    entry[2] = 0x02;  // starts at cylinder 0, head 0, sector 2
    entry[4] = 0xee;
    std::fill_n(entry + 5, 3, Byte{0xff});
    store_le<std::uint32_t>(entry + 8, 1);
    store_le(entry + 12, static_cast<std::uint32_t>(std::min<std::uint64_t>(sectors - 1, 0xffffffffU)));
    mbr[510] = 0x55;
    mbr[511] = 0xaa;
    return mbr;
}

}  // namespace

std::uint32_t gpt_crc32(ByteView bytes) {
    std::uint32_t crc = ~0U;
    for (const Byte byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320U : 0U);
    }
    return ~crc;
}

Result<void> encode_gpt_entry(Byte* out, std::string_view type, std::string_view own, std::uint64_t first,
                              std::uint64_t last, std::string_view name) {
    KZ_TRY(const Guid type_guid, parse_guid(type));
    KZ_TRY(const Guid own_guid, parse_guid(own));
    std::ranges::copy(type_guid, out);
    std::ranges::copy(own_guid, out + 16);
    store_le(out + 32, first);
    store_le(out + 40, last);
    for (std::size_t i = 0; i < name.size(); ++i)
        out[56 + 2 * i] = static_cast<Byte>(name[i]);
    return {};
}

bool is_gpt_type(const Byte* entry, std::string_view type) {
    const Result<Guid> guid = parse_guid(type);
    return guid && std::ranges::equal(*guid, ByteView(entry, guid->size()));
}

Result<DiskLayout> plan_disk(std::uint64_t usable_bytes) {
    if (usable_bytes % kSectorSize != 0) {
        return fail(Errc::invalid_argument, "the disk's size of {} bytes is not a multiple of 512",
                    usable_bytes);
    }
    constexpr std::uint64_t kLeast = 24 * kMebibyte;
    if (usable_bytes < kLeast) {
        return fail(Errc::invalid_argument, "the disk has {} bytes; it needs {} MiB at least", usable_bytes,
                    kLeast / kMebibyte);
    }
    constexpr std::uint64_t kEspSectors = kEspBytes / kSectorSize;
    const std::uint64_t sectors = usable_bytes / kSectorSize;
    const std::uint64_t end = (sectors - kEntriesSectors - 1) / kAlignment * kAlignment;
    return DiskLayout{.sectors = sectors,
                      .boot_first = kAlignment,
                      .boot_last = 2 * kAlignment - 1,
                      .esp_first = 2 * kAlignment,
                      .esp_last = 2 * kAlignment + kEspSectors - 1,
                      .root_first = 2 * kAlignment + kEspSectors,
                      .root_last = end - 1};
}

Result<DiskUuids> random_disk_uuids() {
    DiskUuids uuids;
    for (std::string* const each : {&uuids.disk, &uuids.boot, &uuids.esp, &uuids.root}) {
        KZ_TRY(*each, random_uuid());
    }
    return uuids;
}

Result<PartitionTable> encode_gpt(const DiskLayout& layout, const DiskUuids& uuids) {
    KZ_TRY(const Guid disk, parse_guid(uuids.disk));
    Bytes entries(kEntriesSectors * kSectorSize);
    KZ_CHECK(encode_gpt_entry(entries.data(), kBiosBootType, uuids.boot, layout.boot_first, layout.boot_last,
                              "boot"));
    KZ_CHECK(encode_gpt_entry(entries.data() + kEntrySize, kEfiSystemType, uuids.esp, layout.esp_first,
                              layout.esp_last, "esp"));
    KZ_CHECK(encode_gpt_entry(entries.data() + 2 * kEntrySize, kRootType, uuids.root, layout.root_first,
                              layout.root_last, "root"));
    const std::uint64_t last = layout.sectors - 1;
    const Bytes header = encode_header(layout, disk, {1, last, 2}, entries);
    const Bytes backup_header = encode_header(layout, disk, {last, 1, last - kEntriesSectors}, entries);
    PartitionTable table{encode_protective_mbr(layout.sectors), entries,
                         (last - kEntriesSectors) * kSectorSize};
    table.primary.insert(table.primary.end(), header.begin(), header.end());
    table.primary.insert(table.primary.end(), entries.begin(), entries.end());
    table.backup.insert(table.backup.end(), backup_header.begin(), backup_header.end());
    return table;
}

}  // namespace kz::install
