#include "rad/login_limits.h"

#include <gtest/gtest.h>

#include "rad/request_rate.h"

namespace kz::rad {
namespace {

using namespace std::chrono_literals;

class Limits : public testing::Test {
  protected:
    bool attempt(const std::string& address, bool success = false) {
        if (!limits_.begin(address, now_)) return false;
        limits_.end(address, success, now_);
        return true;
    }
    LoginLimits limits_;
    LoginLimits::Moment now_ = Deadline::Clock::now();
};

TEST_F(Limits, WhoMistypesMayTryAgainAtOnce) {
    for (unsigned i = 0; i < LoginLimits::kFree; ++i)
        EXPECT_TRUE(attempt("192.0.2.1"));
    EXPECT_FALSE(attempt("192.0.2.1"));
}

TEST_F(Limits, TheWaitDoublesWithEachFailure) {
    for (unsigned i = 0; i < LoginLimits::kFree - 1; ++i)
        EXPECT_TRUE(attempt("192.0.2.1"));
    for (const auto wait : {4s, 8s, 16s, 32s}) {
        EXPECT_TRUE(attempt("192.0.2.1"));
        now_ += wait - 1ms;
        EXPECT_FALSE(attempt("192.0.2.1"));
        now_ += 1ms;
    }
    EXPECT_TRUE(attempt("192.0.2.1"));
}

TEST_F(Limits, TheWaitIsAtMostFiveMinutes) {
    for (int i = 0; i < 30; ++i) {
        EXPECT_TRUE(attempt("192.0.2.1"));
        now_ += 300s;
    }
}

TEST_F(Limits, SuccessForgetsTheFailures) {
    EXPECT_TRUE(attempt("192.0.2.1"));
    now_ += 1s;
    EXPECT_TRUE(attempt("192.0.2.1", true));
    for (unsigned i = 0; i < LoginLimits::kFree; ++i)
        EXPECT_TRUE(attempt("192.0.2.1"));
    EXPECT_EQ(limits_.size(), 1U);
}

TEST_F(Limits, AnAddressHasOneAttemptAtATime) {
    ASSERT_TRUE(limits_.begin("192.0.2.1", now_).has_value());
    const auto second = limits_.begin("192.0.2.1", now_);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code(), Errc::busy);
    EXPECT_TRUE(limits_.begin("192.0.2.2", now_).has_value());
}

TEST_F(Limits, AllTogetherHaveFew) {
    for (unsigned i = 0; i < LoginLimits::kAtOnce; ++i)
        EXPECT_TRUE(limits_.begin(fmt::format("192.0.2.{}", i), now_).has_value());
    EXPECT_FALSE(limits_.begin("192.0.2.99", now_).has_value());
    limits_.end("192.0.2.0", true, now_);
    EXPECT_TRUE(limits_.begin("192.0.2.99", now_).has_value());
}

TEST_F(Limits, ManyAddressesGuessNoFasterThanTheBurstAllows) {
    int made = 0;
    for (int i = 0; i < 5000; ++i)
        made += attempt(fmt::format("10.0.{}.{}", i / 250, i % 250)) ? 1 : 0;
    EXPECT_EQ(made, static_cast<int>(LoginLimits::kBurst));
    now_ += 2s;
    EXPECT_TRUE(attempt("198.51.100.1"));
    EXPECT_FALSE(attempt("198.51.100.2"));
}

TEST_F(Limits, MemoryIsBounded) {
    for (int i = 0; i < 5000; ++i) {
        EXPECT_TRUE(attempt(fmt::format("10.{}.{}.1", i / 250, i % 250)));
        now_ += 2s;
    }
    EXPECT_EQ(limits_.size(), LoginLimits::kAddresses);
}

TEST_F(Limits, AnIpv6NetworkIsOneAddress) {
    for (unsigned i = 0; i < LoginLimits::kFree; ++i)
        EXPECT_TRUE(attempt(fmt::format("2001:db8::{}", i)));
    EXPECT_FALSE(attempt("2001:db8::ffff:2"));
    EXPECT_TRUE(attempt("2001:db8:0:1::1"));
}

TEST(Rate, IsABurstAndThenSoManyASecond) {
    RequestRate rate(3, 2);
    auto now = Deadline::Clock::now();
    EXPECT_TRUE(rate.take("a", now));
    EXPECT_TRUE(rate.take("a", now));
    EXPECT_TRUE(rate.take("a", now));
    EXPECT_FALSE(rate.take("a", now));
    EXPECT_TRUE(rate.take("b", now));
    now += 500ms;
    EXPECT_TRUE(rate.take("a", now));
    EXPECT_FALSE(rate.take("a", now));
}

TEST(Rate, MemoryIsBounded) {
    RequestRate rate(3, 2);
    const auto now = Deadline::Clock::now();
    for (int i = 0; i < 5000; ++i)
        EXPECT_TRUE(rate.take(std::to_string(i), now));
    EXPECT_LE(rate.size(), RequestRate::kClients);
}

}  // namespace
}  // namespace kz::rad
