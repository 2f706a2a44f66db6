#include "base/bytes.h"

#include <gtest/gtest.h>

#include "base/secret.h"

namespace kz {
namespace {

TEST(Hex, BothWays) {
    EXPECT_EQ(to_hex(Bytes{0x00, 0x7f, 0xff}), "007fff");
    EXPECT_EQ(*from_hex("007FfF"), (Bytes{0x00, 0x7f, 0xff}));
    EXPECT_EQ(*from_hex(""), Bytes{});
    EXPECT_EQ(from_hex("abc").error().code(), Errc::invalid_argument);
    EXPECT_EQ(from_hex("0g").error().code(), Errc::invalid_argument);
    EXPECT_EQ(from_hex(" 0").error().code(), Errc::invalid_argument);
}

TEST(Base64, VectorsOfRfc4648) {
    const std::pair<std::string_view, std::string_view> vectors[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (const auto& [plain, coded] : vectors) {
        EXPECT_EQ(to_base64(as_bytes(plain)), coded);
        EXPECT_EQ(as_text(*from_base64(coded)), plain);
    }
    const Bytes high{0xfb, 0xff, 0xbf};
    EXPECT_EQ(to_base64(high), "+/+/");
    EXPECT_EQ(*from_base64("+/+/"), high);
}

TEST(Base64, RefusesWhatIsNot) {
    for (const char* text : {"Z", "Zg=", "Zg", "=g==", "Z===", "Zg==Zg==", "Zm9v\n===", "Z-9v", "===="})
        EXPECT_FALSE(from_base64(text)) << text;
}

TEST(LittleEndian, EveryWidth) {
    Bytes out;
    append_le(out, std::uint8_t{1});
    append_le(out, std::uint16_t{0x0302});
    append_le(out, std::uint32_t{0x07060504});
    append_le(out, std::uint64_t{0x0f0e0d0c0b0a0908});
    EXPECT_EQ(to_hex(out), "0102030405060708090a0b0c0d0e0f");
    EXPECT_EQ(load_le<std::uint8_t>(out.data()), 1U);
    EXPECT_EQ(load_le<std::uint16_t>(out.data() + 1), 0x0302U);
    EXPECT_EQ(load_le<std::uint32_t>(out.data() + 3), 0x07060504U);
    EXPECT_EQ(load_le<std::uint64_t>(out.data() + 7), 0x0f0e0d0c0b0a0908U);
    store_le(out.data(), std::uint64_t{UINT64_MAX});
    EXPECT_EQ(load_le<std::uint64_t>(out.data()), UINT64_MAX);
}

TEST(Secret, MovesAndIsEmptyAfterwards) {
    Secret one(Bytes{1, 2, 3});
    Secret two = std::move(one);
    EXPECT_EQ(to_hex(two.view()), "010203");
    EXPECT_TRUE(one.empty());  // NOLINT: what a moved-from secret holds is the point
    Secret copy = two.clone();
    two = Secret();
    EXPECT_EQ(copy.size(), 3U);
}

TEST(Secret, ComparesInConstantTime) {
    EXPECT_TRUE(equal_in_constant_time(Bytes{1, 2}, Bytes{1, 2}));
    EXPECT_FALSE(equal_in_constant_time(Bytes{1, 2}, Bytes{1, 3}));
    EXPECT_FALSE(equal_in_constant_time(Bytes{1, 2}, Bytes{1}));
    EXPECT_TRUE(equal_in_constant_time({}, {}));
}

}  // namespace
}  // namespace kz
