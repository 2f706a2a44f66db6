#include "storage/scsi_data.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "base/text.h"
#include "storage/scsi_bytes.h"

namespace kz::storage {
namespace {

constexpr std::size_t kMaxPrintable = 255;
constexpr std::size_t kMaxDesignators = 256;

std::unexpected<Error> malformed(std::string_view what) {
    return fail(Errc::protocol, "the target's answer to {} is malformed", what);
}

// The payload of a page whose header says how long it is; what is behind it does not count.
Result<ByteView> vpd_payload(ByteView data, VpdPage page, std::string_view what) {
    if (data.size() < 4 || data[1] != static_cast<Byte>(page)) return malformed(what);
    const std::size_t length = load_be<std::uint16_t>(data.data() + 2);
    if (length > data.size() - 4) return malformed(what);
    return data.subspan(4, length);
}

enum class DesignatorType : Byte { t10 = 1, eui64 = 2, naa = 3 };

// Empty: of a kind, or with a length, that names no logical unit for us.
std::string name_of(ByteView header, ByteView designator) {
    constexpr Byte kBinary = 1;
    const bool binary = (header[0] & 0x0f) == kBinary;
    const std::size_t size = designator.size();
    switch (static_cast<DesignatorType>(header[1] & 0x0f)) {
        case DesignatorType::naa:
            return binary && (size == 8 || size == 16) ? "naa." + to_hex(designator) : "";
        case DesignatorType::eui64:
            return binary && (size == 8 || size == 12 || size == 16) ? "eui." + to_hex(designator) : "";
        case DesignatorType::t10:
            return size != 0 ? "t10." + printable(designator) : "";
    }
    return "";
}

// The first digit of a NAA name is who gave it; 3 is "locally assigned", no name for the world.
constexpr int kLastRank = 3;
int rank(std::string_view name) {
    if (name.starts_with("naa.3")) return 2;
    if (name.starts_with("naa.")) return 0;
    return name.starts_with("eui.") ? 1 : kLastRank;
}

Result<Capacity> capacity(std::uint64_t last, std::uint32_t block_bytes) {
    if (block_bytes < 512 || block_bytes > 4096 || !std::has_single_bit(block_bytes))
        return fail(Errc::unsupported, "its blocks are of {} bytes; 512 to 4096 can be used", block_bytes);
    // What cannot be counted in signed 64-bit bytes is no disk.
    if (last >= static_cast<std::uint64_t>(INT64_MAX) / block_bytes) return malformed("READ CAPACITY");
    return Capacity{.blocks = last + 1, .block_bytes = block_bytes};
}

}  // namespace

std::string printable(ByteView text) {
    std::string out;
    for (const Byte byte : text.first(std::min(text.size(), kMaxPrintable))) {
        if (byte == 0) break;
        out += byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '?';
    }
    return std::string(trim(out));
}

Result<StandardInquiry> decode_inquiry(ByteView data) {
    if (data.size() < 36) return malformed("INQUIRY");
    StandardInquiry out;
    constexpr Byte kConnected = 0;
    constexpr Byte kDisk = 0;
    out.present = data[0] >> 5 == kConnected && (data[0] & 0x1f) != 0x1f;
    out.disk = out.present && (data[0] & 0x1f) == kDisk;
    out.vendor = printable(data.subspan(8, 8));
    out.product = printable(data.subspan(16, 16));
    return out;
}

Result<std::vector<Byte>> decode_vpd_pages(ByteView data) {
    KZ_TRY(const ByteView pages, vpd_payload(data, VpdPage::supported, "INQUIRY page 00"));
    return std::vector<Byte>(pages.begin(), pages.end());
}

Result<std::string> decode_serial(ByteView data) {
    KZ_TRY(const ByteView serial, vpd_payload(data, VpdPage::serial, "INQUIRY page 80"));
    return printable(serial);
}

Result<std::vector<std::string>> decode_names(ByteView data) {
    KZ_TRY(ByteView rest, vpd_payload(data, VpdPage::identification, "INQUIRY page 83"));
    std::vector<std::string> names;
    for (std::size_t count = 0; !rest.empty(); ++count) {
        if (count == kMaxDesignators || rest.size() < 4 || rest[3] > rest.size() - 4)
            return malformed("INQUIRY page 83");
        const ByteView designator = rest.subspan(4, rest[3]);
        const bool of_unit = ((rest[1] >> 4) & 0x03) == 0;
        std::string name = of_unit ? name_of(rest, designator) : "";
        if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
        rest = rest.subspan(4 + designator.size());
    }
    std::vector<std::string> sorted;
    for (int each = 0; each <= kLastRank; ++each)
        std::ranges::copy_if(names, std::back_inserter(sorted),
                             [&](const std::string& name) { return rank(name) == each; });
    return sorted;
}

Result<BlockLimits> decode_block_limits(ByteView data) {
    KZ_TRY(const ByteView page, vpd_payload(data, VpdPage::block_limits, "INQUIRY page b0"));
    if (page.size() < 8) return malformed("INQUIRY page b0");
    return BlockLimits{.max_transfer_blocks = load_be<std::uint32_t>(page.data() + 4),
                       .max_compare_and_write_blocks = page[1]};
}

Result<LunList> decode_luns(ByteView data) {
    if (data.size() < 8) return malformed("REPORT LUNS");
    const std::uint64_t length = load_be<std::uint32_t>(data.data());
    if (length % 8 != 0) return malformed("REPORT LUNS");
    if (length / 8 > kMaxLuns)
        return fail(Errc::protocol, "the target shows {} LUNs; at most {} are looked at", length / 8,
                    kMaxLuns);
    LunList out;
    if (length > data.size() - 8) {
        out.needed = static_cast<std::uint32_t>(length + 8);
        return out;
    }
    for (std::size_t at = 8; at < 8 + length; at += 8) {
        const Byte* entry = data.data() + at;
        // Methods 0 (with bus 0) and 1 of the first level are numbers; nothing may be below them.
        const bool flat = entry[0] >> 6 == 1;
        const bool single = std::all_of(entry + 2, entry + 8, [](Byte byte) { return byte == 0; });
        if (single && (flat || entry[0] == 0))
            out.luns.push_back((static_cast<unsigned>(entry[0] & 0x3f) << 8) | entry[1]);
        else
            ++out.left_out;
    }
    std::ranges::sort(out.luns);
    const auto twice = std::ranges::unique(out.luns);
    out.luns.erase(twice.begin(), twice.end());
    return out;
}

Result<Capacity> decode_capacity_10(ByteView data) {
    if (data.size() < 8) return malformed("READ CAPACITY");
    return capacity(load_be<std::uint32_t>(data.data()), load_be<std::uint32_t>(data.data() + 4));
}

Result<Capacity> decode_capacity_16(ByteView data) {
    if (data.size() < 12) return malformed("READ CAPACITY");
    return capacity(load_be<std::uint64_t>(data.data()), load_be<std::uint32_t>(data.data() + 8));
}

Result<ModeParameters> decode_mode(ByteView data) {
    if (data.size() < 4) return malformed("MODE SENSE");
    ModeParameters out{.write_protected = (data[2] & 0x80) != 0, .fua = (data[2] & 0x10) != 0};
    constexpr Byte kCachingPage = 0x08;
    const std::size_t page = 4 + std::size_t{data[3]};
    if (data.size() >= page + 3 && (data[page] & 0x3f) == kCachingPage)
        out.write_cache = (data[page + 2] & 0x04) != 0;
    return out;
}

Result<bool> decode_supported(ByteView data) {
    if (data.size() < 4) return malformed("REPORT SUPPORTED OPERATION CODES");
    constexpr Byte kAsStandard = 3;
    constexpr Byte kOwnWay = 5;
    const Byte support = data[1] & 0x07;
    return support == kAsStandard || support == kOwnWay;
}

Sense decode_sense(ByteView data) {
    if (data.empty()) return {};
    const auto key = [&](std::size_t at) { return static_cast<SenseKey>(data[at] & 0x0f); };
    switch (data[0] & 0x7f) {
        case 0x70:
        case 0x71:
            if (data.size() < 3) return {};
            return {.key = key(2),
                    .code = data.size() < 14 ? std::uint16_t{0} : load_be<std::uint16_t>(data.data() + 12)};
        case 0x72:
        case 0x73:
            if (data.size() < 4) return {};
            return {.key = key(1), .code = load_be<std::uint16_t>(data.data() + 2)};
        default:
            return {};
    }
}

}  // namespace kz::storage
