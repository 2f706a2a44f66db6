#include "image/format.h"

#include <algorithm>

#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "image/uuid.h"

namespace kz::image {
namespace {

constexpr std::string_view kHeaderMagic = "KZIMAGE1";
constexpr std::string_view kFooterMagic = "KZIMGEND";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kSaltAt = 24;
constexpr std::size_t kZoneUuidAt = 56;
constexpr std::size_t kImageIdAt = 72;
constexpr std::size_t kStringsAt = 120;
constexpr std::size_t kDigestAt = 4032;
constexpr std::size_t kMacAt = 4064;
constexpr std::size_t kFooterImageIdAt = 48;
constexpr std::size_t kFooterEnd = 64;
constexpr std::size_t kFixedStrings = 4;

Result<void> append_string(Bytes& out, std::string_view text) {
    if (text.size() > kDigestAt) return fail(Errc::invalid_argument, "a string of {} bytes", text.size());
    append_le<std::uint16_t>(out, static_cast<std::uint16_t>(text.size()));
    out.insert(out.end(), text.begin(), text.end());
    return {};
}

Result<Bytes> encode_strings(const ImageInfo& info) {
    Bytes out;
    for (const std::string* text : {&info.zone_name, &info.machine_type, &info.qemu_version, &info.cpu_model})
        KZ_CHECK(append_string(out, *text));
    for (const std::string& device : info.devices)
        KZ_CHECK(append_string(out, device));
    if (out.size() > kDigestAt - kStringsAt)
        return fail(Errc::invalid_argument, "the description of the machine has {} bytes, {} are possible",
                    out.size(), kDigestAt - kStringsAt);
    return out;
}

Result<void> decode_strings(ByteView in, ImageInfo& info) {
    std::vector<std::string> texts;
    while (!in.empty()) {
        if (in.size() < 2) return fail(Errc::corrupt, "the image's header is damaged (strings)");
        const auto size = load_le<std::uint16_t>(in.data());
        in = in.subspan(2);
        if (size > in.size()) return fail(Errc::corrupt, "the image's header is damaged (strings)");
        texts.emplace_back(as_text(in.first(size)));
        in = in.subspan(size);
    }
    if (texts.size() < kFixedStrings) return fail(Errc::corrupt, "the image's header is damaged (strings)");
    info.zone_name = std::move(texts[0]);
    info.machine_type = std::move(texts[1]);
    info.qemu_version = std::move(texts[2]);
    info.cpu_model = std::move(texts[3]);
    info.devices.assign(std::make_move_iterator(texts.begin() + kFixedStrings),
                        std::make_move_iterator(texts.end()));
    return {};
}

bool all_zeros(ByteView bytes) {
    return std::ranges::all_of(bytes, [](Byte byte) { return byte == 0; });
}

std::string uuid_at(const Block& block, std::size_t at) {
    UuidBytes uuid;
    std::copy_n(block.begin() + static_cast<std::ptrdiff_t>(at), uuid.size(), uuid.begin());
    return render_uuid(uuid);
}

template <typename Range>
void put(Block& block, std::size_t at, const Range& range) {
    std::ranges::copy(range, block.begin() + static_cast<std::ptrdiff_t>(at));
}

Result<void> append_mac(Block& block, const Secret& mac_key) {
    KZ_TRY(const auto mac, crypto::hmac_sha256(mac_key.view(), ByteView(block).first(kMacAt)));
    put(block, kMacAt, mac);
    return {};
}

Result<bool> mac_fits(const Block& block, const Secret& mac_key) {
    KZ_TRY(const auto mac, crypto::hmac_sha256(mac_key.view(), ByteView(block).first(kMacAt)));
    return equal_in_constant_time(mac, ByteView(block).subspan(kMacAt));
}

}  // namespace

std::string_view layout_name(Layout layout) {
    return layout == Layout::pages ? "pages" : "channels";
}

Result<Secret> derive_mac_key(ByteView keysource, const Salt& salt) {
    return crypto::hkdf_sha256(keysource, salt, "kzones image mac", crypto::kSha256Size);
}

Result<Block> encode_header(const Header& header, const Secret& mac_key) {
    const ImageInfo& info = header.info;
    KZ_TRY(const Bytes strings, encode_strings(info));
    KZ_TRY(const UuidBytes zone, parse_uuid(info.zone_uuid));
    KZ_TRY(const UuidBytes image, parse_uuid(info.image_id));
    Block block{};
    put(block, 0, kHeaderMagic);
    store_le<std::uint32_t>(&block[8], kVersion);
    store_le<std::uint32_t>(&block[12], kBlock);
    block[16] = static_cast<Byte>(info.layout);
    block[17] = static_cast<Byte>(info.cipher);
    store_le<std::uint32_t>(&block[20], info.channel_count);
    put(block, kSaltAt, header.salt);
    put(block, kZoneUuidAt, zone);
    put(block, kImageIdAt, image);
    store_le<std::uint64_t>(&block[88], info.epoch);
    store_le<std::uint64_t>(&block[96], info.memory_bytes);
    store_le<std::uint64_t>(&block[104], info.created_ms);
    store_le<std::uint32_t>(&block[112], info.cpu_count);
    store_le<std::uint32_t>(&block[116], static_cast<std::uint32_t>(strings.size()));
    put(block, kStringsAt, strings);
    put(block, kDigestAt, crypto::sha256(ByteView(block).first(kDigestAt)));
    KZ_CHECK(append_mac(block, mac_key));
    return block;
}

Result<Header> decode_header(const Block& block) {
    if (as_text(ByteView(block).first(kHeaderMagic.size())) != kHeaderMagic)
        return fail(Errc::corrupt, "not a suspend image");
    const auto version = load_le<std::uint32_t>(&block[8]);
    if (version != kVersion) return fail(Errc::unsupported, "a suspend image of version {}", version);
    if (!std::ranges::equal(crypto::sha256(ByteView(block).first(kDigestAt)),
                            ByteView(block).subspan(kDigestAt, crypto::kSha256Size)))
        return fail(Errc::corrupt, "the image's header is damaged");
    Header header;
    ImageInfo& info = header.info;
    info.layout = static_cast<Layout>(block[16]);
    if (info.layout != Layout::channels && info.layout != Layout::pages)
        return fail(Errc::unsupported, "a suspend image of layout {}", block[16]);
    KZ_TRY(info.cipher, crypto::cipher_from_number(block[17]));
    info.channel_count = load_le<std::uint32_t>(&block[20]);
    std::copy_n(block.begin() + kSaltAt, kSaltSize, header.salt.begin());
    info.zone_uuid = uuid_at(block, kZoneUuidAt);
    info.image_id = uuid_at(block, kImageIdAt);
    info.epoch = load_le<std::uint64_t>(&block[88]);
    info.memory_bytes = load_le<std::uint64_t>(&block[96]);
    info.created_ms = load_le<std::uint64_t>(&block[104]);
    info.cpu_count = load_le<std::uint32_t>(&block[112]);
    const auto strings = load_le<std::uint32_t>(&block[116]);
    const bool sound = load_le<std::uint32_t>(&block[12]) == kBlock &&
                       load_le<std::uint16_t>(&block[18]) == 0 && info.cipher != crypto::Cipher::none &&
                       info.channel_count >= 1 && info.channel_count <= kMaxChannels &&
                       strings <= kDigestAt - kStringsAt;
    if (!sound) return fail(Errc::corrupt, "the image's header is damaged (fields)");
    const ByteView variable = ByteView(block).subspan(kStringsAt, kDigestAt - kStringsAt);
    if (!all_zeros(variable.subspan(strings)))
        return fail(Errc::corrupt, "the image's header is damaged (fields)");
    KZ_CHECK(decode_strings(variable.first(strings), info));
    return header;
}

Result<void> verify_header(const Block& block, const Secret& mac_key) {
    KZ_TRY(const bool fits, mac_fits(block, mac_key));
    if (!fits) return fail(Errc::permission, "the image is not sealed with this zone's key");
    return {};
}

Result<Block> encode_footer(const Footer& footer, const Secret& mac_key) {
    KZ_TRY(const UuidBytes image, parse_uuid(footer.image_id));
    Block block{};
    put(block, 0, kFooterMagic);
    store_le<std::uint64_t>(&block[8], footer.index_offset);
    store_le<std::uint64_t>(&block[16], footer.index_length);
    store_le<std::uint64_t>(&block[24], footer.records);
    store_le<std::uint64_t>(&block[32], footer.plain_bytes);
    store_le<std::uint64_t>(&block[40], footer.sealed_bytes);
    put(block, kFooterImageIdAt, image);
    KZ_CHECK(append_mac(block, mac_key));
    return block;
}

Result<Footer> decode_footer(const Block& block, const Secret& mac_key) {
    if (as_text(ByteView(block).first(kFooterMagic.size())) != kFooterMagic)
        return fail(Errc::corrupt, "the image is not complete: its end is missing");
    KZ_TRY(const bool fits, mac_fits(block, mac_key));
    if (!fits || !all_zeros(ByteView(block).subspan(kFooterEnd, kMacAt - kFooterEnd)))
        return fail(Errc::corrupt, "the image's footer is damaged");
    Footer footer;
    footer.index_offset = load_le<std::uint64_t>(&block[8]);
    footer.index_length = load_le<std::uint64_t>(&block[16]);
    footer.records = load_le<std::uint64_t>(&block[24]);
    footer.plain_bytes = load_le<std::uint64_t>(&block[32]);
    footer.sealed_bytes = load_le<std::uint64_t>(&block[40]);
    footer.image_id = uuid_at(block, kFooterImageIdAt);
    return footer;
}

}  // namespace kz::image
