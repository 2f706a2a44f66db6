#include "image/format.h"

#include "image/index.h"
#include "image_fixture.h"

namespace kz::image {
namespace {

Header golden_header() {
    Header header{.info = ant1(2)};
    header.info.image_id = "00112233-4455-4677-8899-aabbccddeeff";
    header.info.cipher = crypto::Cipher::aes_128_ccm;
    for (std::size_t i = 0; i < header.salt.size(); ++i)
        header.salt[i] = static_cast<Byte>(i);
    return header;
}

Secret golden_key() {
    return derive_mac_key(key_of_ant1(), golden_header().salt).value();
}

Block block_at(const Bytes& bytes, std::size_t at) {
    Block block;
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), block.size(), block.begin());
    return block;
}

TEST(ImageFormat, HeaderGoldenBytes) {
    const Block made = encode_header(golden_header(), golden_key()).value();
    const Block golden = block_at(read_golden("golden.kzimage"), 0);
    EXPECT_EQ(to_hex(made), to_hex(golden));

    const ImageInfo info = decode_header(golden)->info;
    const ImageInfo expected = golden_header().info;
    EXPECT_EQ(info.image_id, expected.image_id);
    EXPECT_EQ(info.zone_uuid, expected.zone_uuid);
    EXPECT_EQ(info.zone_name, "ant1");
    EXPECT_EQ(info.epoch, 7U);
    EXPECT_EQ(info.machine_type, "pc-q35-7.2");
    EXPECT_EQ(info.qemu_version, "7.2.22");
    EXPECT_EQ(info.cpu_model, "qemu64");
    EXPECT_EQ(info.memory_bytes, 512ULL << 20);
    EXPECT_EQ(info.cpu_count, 2U);
    EXPECT_EQ(info.devices, expected.devices);
    EXPECT_EQ(info.created_ms, 1763778600123U);
    EXPECT_EQ(info.channel_count, 2U);
    EXPECT_EQ(info.cipher, crypto::Cipher::aes_128_ccm);
    EXPECT_EQ(info.layout, Layout::channels);
}

TEST(ImageFormat, FooterGoldenBytes) {
    const Bytes image = read_golden("golden.kzimage");
    const Block golden = block_at(image, image.size() - kBlock);
    const Footer footer = decode_footer(golden, golden_key()).value();
    EXPECT_EQ(footer.records, 3U);
    EXPECT_EQ(footer.plain_bytes, 20600U);
    EXPECT_EQ(to_hex(encode_footer(footer, golden_key()).value()), to_hex(golden));
}

TEST(ImageFormat, AnImageOfTheOtherImplementationReads) {
    const ImageReader reader =
        ImageReader::open(medium_of(read_golden("golden.kzimage")), key_of_ant1()).value();
    Bytes first;
    for (std::size_t i = 0; i < 20000; ++i)
        first.push_back(static_cast<Byte>(1 + i * 31));
    for (std::size_t i = 0; i < 100; ++i)
        first.push_back(static_cast<Byte>(2 + i * 31));
    EXPECT_EQ(read_channel(reader, 0).value(), first);
    EXPECT_EQ(read_channel(reader, 1)->size(), 500U);
    EXPECT_EQ(reader.verify_all()->records, 3U);
}

TEST(ImageFormat, NewerVersionsAndLayoutsAreNamed) {
    Block block = encode_header(golden_header(), golden_key()).value();
    block[8] = 2;
    EXPECT_EQ(decode_header(block).error().message(), "a suspend image of version 2");
    EXPECT_EQ(decode_header(block).error().code(), Errc::unsupported);
    Header pages = golden_header();
    pages.info.layout = static_cast<Layout>(3);
    EXPECT_EQ(decode_header(encode_header(pages, golden_key()).value()).error().code(), Errc::unsupported);
    EXPECT_EQ(decode_header(Block{}).error().message(), "not a suspend image");
}

TEST(ImageFormat, FieldsThatTheLayoutForbids) {
    const auto code_of = [](auto change) {
        Header header = golden_header();
        change(header.info);
        return decode_header(encode_header(header, golden_key()).value()).error().code();
    };
    EXPECT_EQ(code_of([](ImageInfo& info) { info.channel_count = 0; }), Errc::corrupt);
    EXPECT_EQ(code_of([](ImageInfo& info) { info.channel_count = kMaxChannels + 1; }), Errc::corrupt);
    EXPECT_EQ(code_of([](ImageInfo& info) { info.cipher = crypto::Cipher::none; }), Errc::corrupt);
    EXPECT_EQ(code_of([](ImageInfo& info) { info.cipher = static_cast<crypto::Cipher>(77); }),
              Errc::unsupported);
}

TEST(ImageFormat, TextsHaveLimits) {
    Header header = golden_header();
    header.info.zone_uuid = "ant1";
    EXPECT_EQ(encode_header(header, golden_key()).error().message(), "'ant1' is not a uuid");
    header = golden_header();
    header.info.devices.assign(200, "virtio-blk-pci,id=disk");
    EXPECT_EQ(encode_header(header, golden_key()).error().code(), Errc::invalid_argument);
    header.info.devices.assign(1, std::string(70'000, 'x'));
    EXPECT_EQ(encode_header(header, golden_key()).error().code(), Errc::invalid_argument);
    header.info.devices.clear();
    header.info.cpu_model.assign(3800, 'c');
    EXPECT_EQ(decode_header(encode_header(header, golden_key()).value())->info.cpu_model.size(), 3800U);
}

class IndexRules : public testing::Test {
  protected:
    static constexpr std::uint32_t kFinal = 32;
    Index good_ = {{{4096, 0, 100, 132}, {4300, 100, 50, 60}, {4400, 150, 0, kFinal}},
                   {{5000, 0, 0, kFinal}}};
    static bool accepts(const Index& index, std::uint64_t records_end = 6000) {
        const auto decoded = decode_index(
            encode_index(index),
            {.cipher = crypto::Cipher::aes_128_gcm, .channel_count = 2, .records_end = records_end});
        if (!decoded) {
            EXPECT_EQ(decoded.error().code(), Errc::corrupt);
        }
        return decoded.has_value();
    }
    template <typename Change>
    bool accepts_with(Change change) const {
        Index index = good_;
        change(index);
        return accepts(index);
    }
};

TEST_F(IndexRules, AreEnforced) {
    EXPECT_TRUE(accepts(good_));
    EXPECT_FALSE(accepts(good_, 5031)) << "a record in the index";
    EXPECT_FALSE(accepts_with([](Index& index) { index[0][0].file_offset = 4095; }))
        << "a record in the header";
    EXPECT_FALSE(accepts_with([](Index& index) { index[0][0].file_offset = UINT64_MAX; }));
    EXPECT_FALSE(accepts_with([](Index& index) { index[0][1].plain_offset = 99; })) << "an overlap";
    EXPECT_FALSE(accepts_with([](Index& index) { index[0][1].plain_offset = 101; })) << "a gap";
    EXPECT_FALSE(accepts_with([](Index& index) { index[0][1].plain_length = 51; }));
    EXPECT_FALSE(accepts_with([](Index& index) { index[0][0].sealed_length = 133; }));
    EXPECT_FALSE(accepts_with([](Index& index) { index[0][0].sealed_length = 31; }));
    EXPECT_FALSE(accepts_with([](Index& index) { index[0].pop_back(); })) << "no final record";
    EXPECT_FALSE(accepts_with([](Index& index) { index[1].clear(); }));
    EXPECT_FALSE(accepts_with([](Index& index) { index.pop_back(); }));
    EXPECT_FALSE(accepts_with([](Index& index) { index.push_back(index[1]); }));
}

TEST_F(IndexRules, EveryTruncationIsRefused) {
    const Bytes bytes = encode_index(good_);
    const IndexBounds bounds{.cipher = crypto::Cipher::aes_128_gcm, .channel_count = 2, .records_end = 6000};
    for (std::size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(decode_index(ByteView(bytes).first(size), bounds).has_value()) << size;
    Bytes huge = bytes;
    std::fill_n(huge.begin() + 12, 8, Byte{0xff});
    EXPECT_EQ(decode_index(huge, bounds).error().code(), Errc::corrupt) << "a count that no memory holds";
}

}  // namespace
}  // namespace kz::image
