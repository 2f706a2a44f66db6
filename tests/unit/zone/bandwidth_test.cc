#include "zone/bandwidth.h"

#include <gtest/gtest.h>

namespace kz::zone {
namespace {

TEST(Bandwidth, IsInBytesPerSecond) {
    EXPECT_EQ(bandwidth_bytes("100"), 12'500'000U) << "megabits, as the original";
    EXPECT_EQ(bandwidth_bytes("64K"), 8'000U);
    EXPECT_EQ(bandwidth_bytes("100M"), 12'500'000U);
    EXPECT_EQ(bandwidth_bytes("10g"), 1'250'000'000U);
    EXPECT_EQ(bandwidth_bytes("1000000000000G"), 125'000'000'000'000U) << "more than any link";
}

TEST(Bandwidth, NothingIsNoLimit) {
    for (const char* text : {"", "0", "K", "fast", "-1", "1T"})
        EXPECT_EQ(bandwidth_bytes(text), 0U) << text;
}

}  // namespace
}  // namespace kz::zone
