#include "base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kz {
namespace {

using testing::ElementsAre;

TEST(Text, Trim) {
    EXPECT_EQ(trim(" \t a b\r\n"), "a b");
    EXPECT_EQ(trim(" \n"), "");
    EXPECT_EQ(trim(""), "");
}

TEST(Text, SplitKeepsEmptyParts) {
    EXPECT_THAT(split("a,,b,", ','), ElementsAre("a", "", "b", ""));
    EXPECT_THAT(split("", ','), ElementsAre(""));
    EXPECT_EQ(join({"a", "", "b"}, ", "), "a, , b");
    EXPECT_EQ(join({"same", "same"}, "-"), "same-same");
    EXPECT_EQ(join({}, ","), "");
}

TEST(Text, Numbers) {
    EXPECT_EQ(parse_u64("18446744073709551615"), UINT64_MAX);
    EXPECT_EQ(parse_u64("007"), 7U);
    for (const char* text : {"", "18446744073709551616", "-1", "+1", " 1", "1 ", "1x", "0x10"})
        EXPECT_FALSE(parse_u64(text)) << text;
    EXPECT_EQ(parse_hex_u64("0xFFffFFffFFffFFff"), UINT64_MAX);
    EXPECT_EQ(parse_hex_u64("fF"), 255U);
    for (const char* text : {"", "0x", "0x10000000000000000", "g", "-1"})
        EXPECT_FALSE(parse_hex_u64(text)) << text;
}

TEST(Text, SizesAreParsed) {
    const std::pair<const char*, std::uint64_t> good[] = {
        {"0", 0},
        {"512", 512},
        {"512b", 512},
        {"64k", 65536},
        {"4G", 4ULL << 30},
        {"1.5T", 3ULL << 39},
        {"0.5m", 512 * 1024},
        {"16383P", 16383ULL << 50},
        {"1.000000001G", (1ULL << 30) + 1},
    };
    for (const auto& [text, bytes] : good)
        EXPECT_EQ(parse_size(text), bytes) << text;
    for (const char* text : {"", "G", ".5G", "1.G", "-1", "1 G", "4GB", "4Q", "16384P",
                             "18446744073709551616", "1.0000000001G", "1.-5G", "1,5G"})
        EXPECT_EQ(parse_size(text).error().code(), Errc::invalid_argument) << text;
}

TEST(Text, SizesAreRenderedExactly) {
    EXPECT_EQ(render_size(0), "0");
    EXPECT_EQ(render_size(1536), "1536");
    EXPECT_EQ(render_size(4ULL << 30), "4G");
    EXPECT_EQ(render_size(1025 * 1024), "1025K");
    EXPECT_EQ(render_size(1ULL << 60), "1024P");
    for (const std::uint64_t bytes : {1ULL, 4096ULL, 3ULL << 39, ~0ULL})
        EXPECT_EQ(parse_size(render_size(bytes)), bytes);
}

}  // namespace
}  // namespace kz
