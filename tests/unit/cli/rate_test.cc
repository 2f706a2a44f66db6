#include "cli/rate.h"

#include <gtest/gtest.h>

namespace kz::cli {
namespace {

TEST(ParseRate, BytesAndBits) {
    EXPECT_EQ(parse_rate("2048").value(), 2048U);
    EXPECT_EQ(parse_rate("50M").value(), 50U << 20U);
    EXPECT_EQ(parse_rate("1.5g").value(), 3ULL << 29U);
    EXPECT_EQ(parse_rate("1Gbit").value(), 125'000'000U);
    EXPECT_EQ(parse_rate("100mBit").value(), 12'500'000U);
    EXPECT_EQ(parse_rate("64Kbit").value(), 8'000U);
    EXPECT_EQ(parse_rate("8192bit").value(), 1024U);
}

TEST(ParseRate, NothingElse) {
    for (const char* text :
         {"", "0", "fast", "-1", "10X", "1Gb", "bit", "Gbit", "1.5Gbit", "1GGbit", "1000bit", "1023",
          "99999999999999999999", "99999999999999Gbit", "1 G", "2000T"}) {
        const auto rate = parse_rate(text);
        ASSERT_FALSE(rate.has_value()) << text << " is " << *rate;
        EXPECT_EQ(rate.error().code(), Errc::invalid_argument);
        EXPECT_NE(rate.error().message().find(text), std::string::npos);
    }
}

}  // namespace
}  // namespace kz::cli
