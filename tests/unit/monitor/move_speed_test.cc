#include "monitor/move_speed.h"

#include <gtest/gtest.h>

namespace kz::monitor {
namespace {

using namespace std::chrono_literals;

class MoveSpeedTest : public testing::Test {
  protected:
    void after(std::chrono::milliseconds span, std::uint64_t plain, std::uint64_t sealed) {
        now_ += span;
        totals_.plain_bytes += plain;
        totals_.sealed_bytes += sealed;
        speed_.add(totals_, now_);
    }

    MoveSpeed speed_;
    MoveSpeed::Clock::time_point now_{1h};
    stream::PumpTotals totals_;
};

TEST_F(MoveSpeedTest, NothingIsKnownFromOneLook) {
    EXPECT_EQ(speed_.plain(), 0U);
    after(0ms, 1000, 1000);
    EXPECT_EQ(speed_.plain(), 0U);
    after(0ms, 1000, 1000);
    EXPECT_EQ(speed_.plain(), 0U);
}

TEST_F(MoveSpeedTest, BytesThatComeInLumpsAreEvenedOut) {
    after(0ms, 0, 0);
    for (int step = 0; step < 20; ++step)
        after(500ms, step % 2 == 0 ? 0 : 4'000'000, step % 2 == 0 ? 0 : 1'000'000);
    EXPECT_EQ(speed_.plain(), 4'000'000U);
    EXPECT_EQ(speed_.sealed(), 1'000'000U);
}

TEST_F(MoveSpeedTest, WhatWasLongAgoDoesNotCount) {
    after(0ms, 0, 0);
    for (int step = 0; step < 10; ++step)
        after(500ms, 50'000'000, 50'000'000);
    for (int step = 0; step < 4; ++step)
        after(500ms, 500, 500);
    EXPECT_EQ(speed_.plain(), 1000U);
}

TEST_F(MoveSpeedTest, OneLookAfterALongTimeIsEnough) {
    after(0ms, 0, 0);
    after(10s, 10'000, 5'000);
    EXPECT_EQ(speed_.plain(), 1000U);
    EXPECT_EQ(speed_.sealed(), 500U);
}

}  // namespace
}  // namespace kz::monitor
