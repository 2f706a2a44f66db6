// Theory of operation: ECMA-119 in sectors of 2048 bytes, level 2 names without extensions of any kind.
// Sector 16 holds the primary volume descriptor, 17 the terminator, 18 and 19 the path table in both byte
// orders, 20 the root folder, 21 and on the files. Numbers that stand in both orders have the little-endian
// one first. A file is called "NAME.;1"; Linux shows it as "name", which is all that cloud-init asks for.
//   descriptor: 0 type 1, "CD001", 1  40 label, 32 bytes with blanks  80 sectors (both)  120, 124 volumes
//   (both)
//     128 sector size (both)  132 size of the path table (both)  140, 148 its sectors  156 root's record (34
//     bytes) 190-812 texts, blanks  813-880 four dates of digit zeros and a NUL: not given  881 version 1
//   record: 0 length  2 first sector (both)  10 bytes (both)  18 date of 7 bytes  25 flags: 2 is a folder
//     28 volume 1 (both)  32 length of the name  33 name, filled up to an even length
#include "install/iso9660.h"

#include <algorithm>
#include <cctype>

namespace kz::install {
namespace {

constexpr std::size_t kSector = 2048;
constexpr std::uint32_t kPathTable = 18;
constexpr std::uint32_t kRootFolder = 20;
constexpr std::uint32_t kFirstFile = 21;
constexpr std::size_t kPathTableSize = 10;
constexpr std::size_t kRecordName = 33;
constexpr Byte kFolderFlag = 2;

void put_big(Byte* out, std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i)
        out[i] = static_cast<Byte>(value >> (8 * (bytes - 1 - i)));
}
void put_both32(Byte* out, std::uint32_t value) {
    store_le(out, value);
    put_big(out + 4, value, 4);
}
void put_both16(Byte* out, std::uint16_t value) {
    store_le(out, value);
    put_big(out + 2, value, 2);
}

Bytes make_record(std::string_view name, std::uint32_t sector, std::uint32_t size, Byte flags) {
    Bytes record((kRecordName + name.size() + 1) / 2 * 2);
    record[0] = static_cast<Byte>(record.size());
    put_both32(&record[2], sector);
    put_both32(&record[10], size);
    record[18] = 100;  // 2000-01-01, so that equal input gives equal bytes
    record[19] = record[20] = 1;
    record[25] = flags;
    put_both16(&record[28], 1);
    record[32] = static_cast<Byte>(name.size());
    std::ranges::copy(name, record.begin() + kRecordName);
    return record;
}

Bytes make_descriptor(std::string_view label, std::uint32_t sectors) {
    Bytes out(kSector);
    constexpr std::string_view kMagic =
        "\x01"
        "CD001"
        "\x01";
    std::ranges::copy(kMagic, out.begin());
    std::fill(out.begin() + 8, out.begin() + 72, Byte{' '});
    std::ranges::copy(label, out.begin() + 40);
    put_both32(&out[80], sectors);
    put_both16(&out[120], 1);
    put_both16(&out[124], 1);
    put_both16(&out[128], kSector);
    put_both32(&out[132], kPathTableSize);
    store_le(&out[140], kPathTable);
    put_big(&out[148], kPathTable + 1, 4);
    std::ranges::copy(make_record(std::string_view("\0", 1), kRootFolder, kSector, kFolderFlag),
                      out.begin() + 156);
    std::fill(out.begin() + 190, out.begin() + 813, Byte{' '});
    for (const std::size_t date : {813U, 830U, 847U, 864U})
        std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(date), 16, Byte{'0'});
    out[881] = 1;
    return out;
}

// One entry: the root, its own parent.
void put_path_tables(Byte* little, Byte* big) {
    little[0] = big[0] = 1;
    store_le(little + 2, kRootFolder);
    put_big(big + 2, kRootFolder, 4);
    store_le<std::uint16_t>(little + 6, 1);
    put_big(big + 6, 1, 2);
}

Result<std::string> name_on_disk(const std::string& name) {
    const auto good = [](unsigned char c) {
        return std::islower(c) || std::isdigit(c) || c == '-' || c == '_';
    };
    if (name.empty() || name.size() > 27 || !std::ranges::all_of(name, good))
        return fail(Errc::invalid_argument, "'{}' cannot be the name of a file there", name);
    std::string upper = name;
    std::ranges::transform(upper, upper.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return upper + ".;1";
}

std::uint32_t sectors_of(const IsoFile& file) {
    return static_cast<std::uint32_t>((file.content.size() + kSector - 1) / kSector);
}

}  // namespace

Result<Bytes> make_iso9660(std::string_view label, const std::vector<IsoFile>& files) {
    if (label.size() > 32) return fail(Errc::invalid_argument, "'{}' is too long for a label", label);
    std::vector<IsoFile> sorted = files;
    std::ranges::sort(sorted, {}, &IsoFile::name);
    Bytes folder = make_record(std::string_view("\0", 1), kRootFolder, kSector, kFolderFlag);
    const Bytes parent = make_record(std::string_view("\1", 1), kRootFolder, kSector, kFolderFlag);
    folder.insert(folder.end(), parent.begin(), parent.end());
    std::uint32_t next = kFirstFile;
    for (const IsoFile& file : sorted) {
        KZ_TRY(const std::string name, name_on_disk(file.name));
        const Bytes record = make_record(name, next, static_cast<std::uint32_t>(file.content.size()), 0);
        folder.insert(folder.end(), record.begin(), record.end());
        next += sectors_of(file);
    }
    if (folder.size() > kSector) return fail(Errc::invalid_argument, "too many files for one folder");
    Bytes image(next * kSector);
    const auto at = [&](std::uint32_t sector) {
        return image.begin() + static_cast<std::ptrdiff_t>(sector * kSector);
    };
    std::ranges::copy(make_descriptor(label, next), at(16));
    constexpr std::string_view kTerminator =
        "\xff"
        "CD001"
        "\x01";
    std::ranges::copy(kTerminator, at(17));
    put_path_tables(&image[kPathTable * kSector], &image[(kPathTable + 1) * kSector]);
    std::ranges::copy(folder, at(kRootFolder));
    next = kFirstFile;
    for (const IsoFile& file : sorted) {
        std::ranges::copy(file.content, at(next));
        next += sectors_of(file);
    }
    return image;
}

bool iso9660_has(ByteView image, const std::string& name) {
    const Result<std::string> wanted = name_on_disk(name);
    if (!wanted || image.size() < kFirstFile * kSector) return false;
    const ByteView folder = image.subspan(kRootFolder * kSector, kSector);
    for (std::size_t at = 0; at + kRecordName < folder.size() && folder[at] > kRecordName; at += folder[at]) {
        const std::size_t length = folder[at + kRecordName - 1];
        if (as_text(folder.subspan(at + kRecordName)).substr(0, length) == *wanted) return true;
    }
    return false;
}

}  // namespace kz::install
