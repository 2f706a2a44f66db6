#include "migrate/checks_forecast.h"

#include <gmock/gmock.h>

#include <thread>

#include "../qemu/fake_qemu.h"
#include "os/io.h"

namespace kz::migrate {
namespace {

using namespace std::chrono_literals;
using qemu::FakeQemu;
using qemu::Qmp;
using testing::HasSubstr;

constexpr std::uint64_t kMega = 1000 * 1000;

TEST(Forecast, AnIdleGuestCrossesOnce) {
    const Forecast result = forecast(
        {.memory_bytes = 1000 * kMega, .dirty_bytes_per_second = 0, .link_bytes_per_second = 100 * kMega});
    EXPECT_TRUE(result.converges);
    EXPECT_EQ(result.bytes, 1000 * kMega);
    EXPECT_EQ(result.time, 10s);
    EXPECT_EQ(result.pause, 0ms);
    EXPECT_EQ(result.passes, 1U);
}

TEST(Forecast, PassesGetShorterByTheRatioOfTheRates) {
    // 1000 MB, then 500, 250, 125, 62.5 and 31.25; the last fits 300 ms.
    const Forecast result = forecast({.memory_bytes = 1000 * kMega,
                                      .dirty_bytes_per_second = 50 * kMega,
                                      .link_bytes_per_second = 100 * kMega});
    EXPECT_TRUE(result.converges);
    EXPECT_EQ(result.passes, 6U);
    EXPECT_EQ(result.bytes, 1968'750'000U + 15'625'000U);
    EXPECT_EQ(result.pause, 156ms);
}

TEST(Forecast, ALongerPauseNeedsFewerPasses) {
    const Forecast result = forecast({.memory_bytes = 1000 * kMega,
                                      .dirty_bytes_per_second = 50 * kMega,
                                      .link_bytes_per_second = 100 * kMega,
                                      .max_pause = 5s});
    EXPECT_TRUE(result.converges);
    EXPECT_EQ(result.passes, 1U);
    EXPECT_EQ(result.pause, 5s);
}

TEST(Forecast, AGuestThatIsFasterThanTheLinkDoesNotConverge) {
    const ForecastFacts facts{.memory_bytes = 1000 * kMega,
                              .dirty_bytes_per_second = 300 * kMega,
                              .link_bytes_per_second = 100 * kMega};
    const Forecast result = forecast(facts);
    EXPECT_FALSE(result.converges);
    EXPECT_EQ(result.pause, 10s);  // all of it, at once
    const std::string text = forecast_text(facts, result);
    EXPECT_THAT(text, HasSubstr("will not converge within a pause of 300 ms"));
    EXPECT_THAT(text, HasSubstr("--max-pause 10000, --deadline S --on-deadline force"));
    EXPECT_EQ(forecast_json(facts, result)["converges"], false);
}

TEST(Forecast, WhatIsAllowedCountsWhereItIsLessThanTheLink) {
    ForecastFacts facts{.memory_bytes = 1000 * kMega,
                        .dirty_bytes_per_second = 30 * kMega,
                        .link_bytes_per_second = 100 * kMega};
    EXPECT_TRUE(forecast(facts).converges);
    facts.allowed_bytes_per_second = 20 * kMega;
    const Forecast result = forecast(facts);
    EXPECT_FALSE(result.converges);
    EXPECT_THAT(forecast_text(facts, result),
                HasSubstr("the link carries 100.0 MB/s, of which 20.0 MB/s are allowed"));
    EXPECT_THAT(forecast_text(facts, result), HasSubstr("or more --bandwidth"));
    facts.allowed_bytes_per_second = 500 * kMega;
    EXPECT_TRUE(forecast(facts).converges);
    EXPECT_THAT(forecast_text(facts, forecast(facts)), Not(HasSubstr("allowed")));
}

TEST(Forecast, OneThatIsAsFastAsTheLinkDoesNotEither) {
    EXPECT_FALSE(forecast({.memory_bytes = 1000 * kMega,
                           .dirty_bytes_per_second = 95 * kMega,
                           .link_bytes_per_second = 100 * kMega})
                     .converges);
}

TEST(Forecast, ALinkThatCarriesNothingIsNoDivisionByZero) {
    const Forecast result = forecast({.memory_bytes = UINT64_MAX, .dirty_bytes_per_second = UINT64_MAX});
    EXPECT_FALSE(result.converges);
    EXPECT_GT(result.time.count(), 0);
}

TEST(Forecast, IsSaidAsMeasured) {
    const ForecastFacts facts{.memory_bytes = 100 << 20, .link_bytes_per_second = 200 * kMega};
    const Forecast result = forecast(facts);
    EXPECT_EQ(forecast_text(facts, result),
              "Measured: the link carries 200.0 MB/s, how fast memory changes was not measured.\n"
              "Forecast: 100 MiB in 0.5 s, 1 passes, a pause of 0 ms for memory.");
    EXPECT_TRUE(forecast_json(facts, result)["dirty_bytes_per_second"].is_null());
}

class DirtyRate : public testing::Test {
  protected:
    // What QEMU answers to one query after the other.
    Result<std::optional<std::uint64_t>> measure(std::vector<std::string> answers) {
        FakeQemu fake;
        const std::jthread machine([&] {
            fake.greet();
            const auto begin = fake.hear();
            EXPECT_EQ(begin["execute"], "calc-dirty-rate");
            EXPECT_EQ(begin["arguments"]["calc-time"], 1);
            fake.answer(begin);
            for (const std::string& each : answers)
                fake.answer(fake.hear(), each);
            fake.hear();
        });
        const auto qmp = Qmp::attach(fake.take_client(), qemu::soon()).value();
        auto rate = measure_dirty_rate(*qmp, 256 << 20, cancel_.fd());
        qmp->close();
        return rate;
    }
    EventFd cancel_ = EventFd::create().value();
};

TEST_F(DirtyRate, IsAskedForUntilItIsThere) {
    const auto rate = measure({R"({"status": "measuring"})", R"({"status": "measured", "dirty-rate": 20})"});
    ASSERT_TRUE(rate) << rate.error().message();
    EXPECT_EQ(*rate, 20U << 20);
}

TEST_F(DirtyRate, MayBeUnknown) {
    const auto rate = measure({R"({"status": "measured", "dirty-rate": -1})"});
    ASSERT_TRUE(rate);
    EXPECT_FALSE(rate->has_value());
}

TEST_F(DirtyRate, CanBeCancelled) {
    cancel_.signal();
    const auto rate = measure({R"({"status": "measuring"})"});
    ASSERT_FALSE(rate);
    EXPECT_EQ(rate.error().code(), Errc::cancelled);
}

TEST_F(DirtyRate, OfASmallGuestIsNotAskedFor) {
    FakeQemu fake;
    const std::jthread machine([&] {
        fake.greet();
        EXPECT_TRUE(fake.hear().is_null());
    });
    const auto qmp = Qmp::attach(fake.take_client(), qemu::soon()).value();
    const auto rate = measure_dirty_rate(*qmp, 64 << 20, cancel_.fd());
    ASSERT_TRUE(rate);
    EXPECT_FALSE(rate->has_value());
    qmp->close();
}

}  // namespace
}  // namespace kz::migrate
