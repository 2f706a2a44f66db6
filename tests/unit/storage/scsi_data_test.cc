#include "storage/scsi_data.h"

#include <gmock/gmock.h>

using namespace kz;
using namespace kz::storage;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

Bytes bytes_of(std::string_view hex) {
    return from_hex(hex).value();
}

Bytes page(Byte number, const Bytes& payload) {
    Bytes out{0, number, static_cast<Byte>(payload.size() >> 8), static_cast<Byte>(payload.size())};
    out.insert(out.end(), payload.begin(), payload.end());
    return out;
}

Bytes designator(Byte code_set, Byte association_and_type, const Bytes& id) {
    Bytes out{code_set, association_and_type, 0, static_cast<Byte>(id.size())};
    out.insert(out.end(), id.begin(), id.end());
    return out;
}

Bytes operator+(Bytes left, const Bytes& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

// Every beginning of an answer is an answer that was cut off: none of them may be believed, or read beyond.
template <typename Decode>
void expect_no_prefix_decodes(const Bytes& whole, Decode decode) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        const auto result = decode(cut);
        ASSERT_FALSE(result.has_value()) << size;
        EXPECT_EQ(result.error().code(), Errc::protocol);
    }
}

TEST(ScsiInquiry, TellsWhatIsThere) {
    Bytes data(36, ' ');
    data[0] = 0x00;
    std::ranges::copy(std::string_view("IET     VIRTUAL\x01"
                                       "DISK    "),
                      data.begin() + 8);
    const auto disk = decode_inquiry(data).value();
    EXPECT_TRUE(disk.present && disk.disk);
    EXPECT_EQ(disk.vendor, "IET");
    EXPECT_EQ(disk.product, "VIRTUAL?DISK");
    data[0] = 0x0c;  // a controller
    EXPECT_TRUE(decode_inquiry(data)->present);
    EXPECT_FALSE(decode_inquiry(data)->disk);
    for (const Byte absent : {Byte{0x7f}, Byte{0x20}, Byte{0x1f}}) {
        data[0] = absent;
        EXPECT_FALSE(decode_inquiry(data)->present) << int{absent};
    }
    expect_no_prefix_decodes(data, decode_inquiry);
}

TEST(ScsiNames, TakesThoseOfTheUnitInTheOrderOfTheirWorth) {
    const Bytes payload = designator(2, 0x01, bytes_of("4b5a20313233200000")) +  // t10 "KZ 123"
                          designator(1, 0x03, bytes_of("3000000100000001")) +    // local
                          designator(1, 0x02, bytes_of("0123456789abcdef")) +    // eui
                          designator(1, 0x03, bytes_of("600144f068d1cd00000053ecd3d20001")) +
                          designator(1, 0x03, bytes_of("600144F068D1CD00000053ECD3D20001")) +  // again
                          designator(1, 0x13, bytes_of("5000000000000001")) +                  // of the port
                          designator(2, 0x03, bytes_of("5000000000000002")) +                  // not binary
                          designator(1, 0x03, bytes_of("5000"));                               // too short
    EXPECT_THAT(decode_names(page(0x83, payload)).value(),
                ElementsAre("naa.600144f068d1cd00000053ecd3d20001", "eui.0123456789abcdef",
                            "naa.3000000100000001", "t10.KZ 123"));
    EXPECT_THAT(decode_names(page(0x83, {})).value(), IsEmpty());
}

TEST(ScsiNames, RefusesWhatDoesNotFit) {
    const Bytes good = page(0x83, designator(1, 0x03, bytes_of("5000000000000001")));
    expect_no_prefix_decodes(good, decode_names);
    EXPECT_FALSE(decode_names(page(0x80, {})));                  // another page
    EXPECT_FALSE(decode_names(page(0x83, {1, 3, 0, 9, 1, 2})));  // a designator beyond the page
    EXPECT_FALSE(decode_names(page(0x83, {1, 3, 0})));           // half a header
    Bytes many;
    for (int i = 0; i < 257; ++i)
        many = std::move(many) + designator(1, 0x0f, {});
    EXPECT_FALSE(decode_names(page(0x83, many)));
    // What lies behind the page does not count.
    EXPECT_THAT(decode_names(good + Bytes(3, 0xff)).value(), ElementsAre("naa.5000000000000001"));
}

TEST(ScsiPages, SerialLimitsAndList) {
    EXPECT_EQ(decode_serial(page(0x80, bytes_of("2020533120"))).value(), "S1");
    EXPECT_THAT(decode_vpd_pages(page(0x00, {0x00, 0x83, 0xb0})).value(), ElementsAre(0x00, 0x83, 0xb0));
    Bytes limits(60);
    limits[1] = 128;
    limits[6] = 0x10;
    const auto decoded = decode_block_limits(page(0xb0, limits)).value();
    EXPECT_EQ(decoded.max_compare_and_write_blocks, 128);
    EXPECT_EQ(decoded.max_transfer_blocks, 0x1000U);
    expect_no_prefix_decodes(page(0xb0, limits), decode_block_limits);
    EXPECT_FALSE(decode_block_limits(page(0xb0, Bytes(7))));
}

TEST(ScsiLuns, ReadsBothAddressingsAndCountsTheRest) {
    const Bytes list = bytes_of(
        "00000030"
        "00000000"
        "0001000000000000"
        "4101000000000000"
        "0000000000000000"
        "0001000000000000"    // again
        "0105000000000000"    // on another bus
        "0002000100000000");  // below another LUN
    const auto luns = decode_luns(list).value();
    EXPECT_THAT(luns.luns, ElementsAre(0U, 1U, 257U));
    EXPECT_EQ(luns.left_out, 2U);
    EXPECT_EQ(luns.needed, 0U);
}

TEST(ScsiLuns, AsksForMoreRoomUpToACap) {
    EXPECT_EQ(decode_luns(bytes_of("0000001000000000"
                                   "0000000000000000"))
                  ->needed,
              24U);
    EXPECT_EQ(decode_luns(bytes_of("0000000900000000")).error().code(), Errc::protocol);
    const auto many = decode_luns(bytes_of("0002000800000000"));
    ASSERT_FALSE(many);
    EXPECT_THAT(many.error().message(), HasSubstr("16385 LUNs"));
    EXPECT_TRUE(decode_luns(bytes_of("0002000000000000")));
    EXPECT_FALSE(decode_luns(bytes_of("00000000000000")));
}

TEST(ScsiCapacity, CountsBlocks) {
    EXPECT_EQ(decode_capacity_16(bytes_of("000000000001ffff00000200"))->bytes(), 64U << 20);
    EXPECT_EQ(decode_capacity_10(bytes_of("00003fff00001000"))->bytes(), 64U << 20);
    EXPECT_EQ(decode_capacity_10(bytes_of("ffffffff00000200"))->blocks, std::uint64_t{1} << 32);
    for (const char* odd : {"00000000", "00000100", "00000208", "00002000", "ffffffff"})
        EXPECT_EQ(decode_capacity_10(bytes_of("00003fff" + std::string(odd))).error().code(),
                  Errc::unsupported)
            << odd;
    EXPECT_EQ(decode_capacity_16(bytes_of("ffffffffffffffff00000200")).error().code(), Errc::protocol);
    EXPECT_EQ(decode_capacity_16(bytes_of("003fffffffffffff00000200")).error().code(), Errc::protocol);
    EXPECT_TRUE(decode_capacity_16(bytes_of("003ffffffffffffe00000200")));
    expect_no_prefix_decodes(bytes_of("000000000001ffff00000200"), decode_capacity_16);
}

TEST(ScsiMode, TellsProtectionFuaAndCache) {
    const auto tgt = decode_mode(bytes_of("17001000"
                                          "0812140000000000"))
                         .value();
    EXPECT_FALSE(tgt.write_protected);
    EXPECT_TRUE(tgt.fua);
    EXPECT_TRUE(tgt.write_cache);
    EXPECT_FALSE(decode_mode(bytes_of("17001000"
                                      "08121000"))
                     ->write_cache);
    EXPECT_FALSE(decode_mode(bytes_of("17001008"
                                      "0000000000000000"
                                      "08121000"))
                     ->write_cache);  // descriptor
    EXPECT_TRUE(decode_mode(bytes_of("170080ff"
                                     "08121000"))
                    ->write_cache);  // no page where it should be
    EXPECT_TRUE(decode_mode(bytes_of("17008000"))->write_protected);
    EXPECT_FALSE(decode_mode(bytes_of("170080")));
}

TEST(ScsiSupported, OnlyTheTwoKindsOfYes) {
    for (const auto& [answer, yes] : {std::pair{"00030010", true},
                                      {"00050010", true},
                                      {"00010000", false},
                                      {"00000000", false},
                                      {"00830010", true}})
        EXPECT_EQ(decode_supported(bytes_of(answer)).value(), yes) << answer;
    EXPECT_FALSE(decode_supported(bytes_of("0003")));
}

TEST(ScsiSense, ReadsBothFormats) {
    EXPECT_EQ(decode_sense(bytes_of("700006000000000a000000002a09000000")),
              (Sense{SenseKey::unit_attention, 0x2a09}));
    EXPECT_EQ(decode_sense(bytes_of("720e1d00")), (Sense{SenseKey::miscompare, 0x1d00}));
    EXPECT_EQ(decode_sense(bytes_of("f00005")), (Sense{SenseKey::illegal_request, 0}));
    for (const char* nothing : {"", "70", "7000", "720e1d", "00000600"})
        EXPECT_EQ(decode_sense(bytes_of(nothing)), Sense{}) << nothing;
}

TEST(ScsiText, IsPrintableAndShort) {
    EXPECT_EQ(printable(as_bytes("  a\tb\x7f\x80  ")), "a?b??");
    EXPECT_EQ(printable(as_bytes(std::string_view("ab\0cd", 5))), "ab");
    EXPECT_EQ(printable(Bytes(1000, 'x')).size(), 255U);
}

TEST(ScsiCdb, UsesTheShortFormsWhereTheyReach) {
    const auto hex = [](const Cdb& cdb) { return to_hex(ByteView(cdb.bytes).first(cdb.size)); };
    EXPECT_EQ(hex(cdb_write(0x01020304, 8, true)), "2a080102030400000800");
    EXPECT_EQ(hex(cdb_read(0xffffffff, 0xffff, false)), "2800ffffffff00ffff00");
    EXPECT_EQ(hex(cdb_write(0x100000000, 8, true)), "8a080000000100000000000000080000");
    EXPECT_EQ(hex(cdb_read(1, 0x10000, false)), "88000000000000000001000100000000");
    EXPECT_EQ(hex(cdb_compare_and_write(0x1122334455667788, 2, true)), "89081122334455667788000000020000");
    EXPECT_EQ(hex(cdb_synchronize_cache(0, 0)), "35000000000000000000");
    EXPECT_EQ(hex(cdb_inquiry(VpdPage::identification, 4096)), "120183100000");
    EXPECT_EQ(hex(cdb_report_supported(ScsiOpcode::compare_and_write, 64)), "a30c01890000000000400000");
}

}  // namespace
