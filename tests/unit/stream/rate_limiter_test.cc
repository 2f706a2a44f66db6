#include "stream/rate_limiter.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "os/io.h"

namespace kz::stream {
namespace {

using namespace std::chrono_literals;
using Clock = TokenBucket::Clock;

// The arithmetic, on a clock of its own.
class Bucket : public testing::Test {
  protected:
    // Takes as often as it may for `span`, sleeping as told; returns the bytes taken.
    std::uint64_t take_for(std::chrono::milliseconds span, std::size_t piece) {
        std::uint64_t taken = 0;
        const Clock::time_point end = now_ + span;
        while (now_ < end) {
            const auto owed = bucket_.take(piece, now_);
            if (owed == 0ns) {
                taken += piece;
            } else {
                now_ += std::min<std::chrono::nanoseconds>(owed, end - now_);
            }
        }
        return taken;
    }

    TokenBucket bucket_;
    Clock::time_point now_{1h};
};

TEST_F(Bucket, WithoutALimitNothingIsOwed) {
    for (int i = 0; i < 1000; ++i)
        EXPECT_EQ(bucket_.take(1'000'000'000, now_), 0ns);
}

TEST_F(Bucket, TheRateIsKeptWhateverThePieces) {
    for (const std::size_t piece : {1'000UL, 100'000UL, 262'416UL, 3'000'000UL}) {
        bucket_.set_rate(10'000'000, now_);
        const std::uint64_t taken = take_for(20s, piece);
        EXPECT_NEAR(static_cast<double>(taken), 200e6, static_cast<double>(piece) + 1e6) << piece;
        now_ += 1h;
    }
}

TEST_F(Bucket, AnIdleTimeSavesUpNoBurst) {
    bucket_.set_rate(1'000'000, now_);
    now_ += 1h;
    EXPECT_LE(take_for(1ms, 1'000), 22'000U);
}

TEST_F(Bucket, ANewRateCountsAtOnce) {
    bucket_.set_rate(1'000, now_);
    EXPECT_EQ(bucket_.take(1'000'000, now_), 0ns);
    EXPECT_EQ(bucket_.take(1, now_), 1000s) << "what was taken is owed";
    bucket_.set_rate(1'000'000, now_);
    EXPECT_EQ(bucket_.take(1, now_), 1s);
    bucket_.set_rate(0, now_);
    EXPECT_EQ(bucket_.take(1, now_), 0ns);
    bucket_.set_rate(5'000, now_);
    EXPECT_EQ(bucket_.take(1, now_), 0ns) << "an old debt is forgotten with the limit";
}

TEST_F(Bucket, AClockThatGoesBackwardsHarmsNothing) {
    bucket_.set_rate(1'000'000, now_);
    EXPECT_EQ(bucket_.take(100'000, now_), 0ns);
    EXPECT_GT(bucket_.take(1, now_ - 10s), 0ns);
}

TEST(RateLimiter, PiecesForAnEvenFlow) {
    RateLimiter limiter;
    EXPECT_GT(limiter.even_piece(), 1ULL << 40) << "no limit";
    limiter.set_rate(50'000'000);
    EXPECT_EQ(limiter.even_piece(), 1'000'000U);
    limiter.set_rate(1024);
    EXPECT_EQ(limiter.even_piece(), 16'384U) << "smaller records would cost more than they help";
}

TEST(RateLimiter, AllChannelsTogetherKeepTheRate) {
    RateLimiter limiter(20'000'000);
    const auto start = Clock::now();
    {
        std::vector<std::jthread> channels;
        for (int i = 0; i < 4; ++i) {
            channels.emplace_back([&limiter] {
                for (int record = 0; record < 10; ++record)
                    EXPECT_TRUE(limiter.acquire(100'000).has_value());
            });
        }
    }
    // 4 MB at 20 MB/s, but for the last piece of each channel and the burst.
    EXPECT_GE(Clock::now() - start, 150ms);
}

TEST(RateLimiter, AWaitEndsWhenItIsCancelledOrTheRateIsRaised) {
    RateLimiter limiter(1);
    EXPECT_EQ(limiter.rate(), 1U);
    ASSERT_TRUE(limiter.acquire(1'000'000).has_value());
    const EventFd cancel = EventFd::create().value();
    std::jthread canceller([&cancel] { cancel.signal(); });
    EXPECT_EQ(limiter.acquire(1, cancel.fd()).error().code(), Errc::cancelled);

    std::jthread raiser([&limiter] { limiter.set_rate(0); });
    EXPECT_TRUE(limiter.acquire(1).has_value());
}

}  // namespace
}  // namespace kz::stream
