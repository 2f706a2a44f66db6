// Contenders for a disk that nobody owns, in as many schedules as can be tried: never two believe to own it.
#include "storage/lease_claim.h"

#include <gtest/gtest.h>

#include "simulation.h"

namespace kz::storage {
namespace {

using namespace sim;

struct Outcome {
    std::vector<std::string> winners;
    std::vector<std::string> errors;
    unsigned crashed = 0;
    HostData disk;
    std::vector<unsigned> ways;
};

Outcome contend(const Disk& start, unsigned contenders, const Faults& faults, Choices choices) {
    World world(start, faults, std::move(choices));
    Outcome outcome;
    for (unsigned i = 0; i < contenders; ++i) {
        world.add("host" + std::to_string(i), [&](Host& host) {
            constexpr BootClock::duration kStarts[]{0ms, 700ms, 2'001ms};
            // Of 1024: every other host reaches it by another way, which cannot.
            host.compares = start.compare_limit == 512 || host.name().back() % 2 == 0;
            host.pass(kStarts[host.world().choices.pick(3)]);
            const std::unique_ptr<Volume> volume = host.open_disk();
            HostDataArea area = *HostDataArea::open(*volume, key());
            const Result<Taken> taken = claim_unowned({.volume = *volume,
                                                       .area = area,
                                                       .self = host.as_owner(),
                                                       .timings = {},
                                                       .clock = host.clock()});
            if (!taken) outcome.errors.push_back(taken.error().message());
            if (taken && !taken->refused) outcome.winners.push_back(host.name());
        });
    }
    world.run(BootTime::max());
    for (const auto& host : world.hosts)
        outcome.crashed += host->crashed() ? 1 : 0;
    outcome.disk = on(world.disk);
    outcome.ways = world.choices.ways();
    return outcome;
}

void check(const Outcome& outcome, bool must_win) {
    ASSERT_LE(outcome.winners.size(), 1U) << outcome.winners[0] << " and " << outcome.winners[1];
    if (must_win) {
        ASSERT_TRUE(outcome.errors.empty()) << outcome.errors[0];
        ASSERT_EQ(outcome.winners.size(), 1U);
    }
    if (outcome.winners.empty()) return;
    ASSERT_TRUE(outcome.disk.owner);
    ASSERT_EQ(outcome.disk.owner->host_id, outcome.winners[0]);
    ASSERT_FALSE(outcome.disk.claim);
}

// What a process that is killed by its bound can still do: no operation is longer than half of it.
const Faults kSlow{.latencies = {1ms, 600ms, 1'500ms, 14s}, .oversleeping = {0ms, 3s, 100s}};

class ClaimTest : public testing::TestWithParam<std::tuple<unsigned, std::size_t>> {
  protected:
    ClaimTest() { start_.compare_limit = std::get<1>(GetParam()); }
    unsigned contenders() const { return std::get<0>(GetParam()); }
    Disk start_ = disk_with(unowned());
};

INSTANTIATE_TEST_SUITE_P(Contenders, ClaimTest,
                         testing::Combine(testing::Values(2U, 3U, 4U), testing::Values(0U, 512U, 1024U)));

TEST_P(ClaimTest, OneWinsWhateverIsSlow) {
    const std::size_t tried = explore(contenders() == 2 ? 2 : 1, 1'200, [&](const Choices::Plan& plan) {
        SCOPED_TRACE(render(plan));
        const Outcome outcome = contend(start_, contenders(), kSlow, Choices(plan));
        check(outcome, true);
        return HasFatalFailure() ? std::vector<unsigned>{} : outcome.ways;
    });
    EXPECT_GT(tried, 100U);
}

TEST_P(ClaimTest, NeverTwoWhoeverDies) {
    Faults faults = kSlow;
    faults.crashes = true;
    explore(contenders() == 2 ? 2 : 1, 1'200, [&](const Choices::Plan& plan) {
        SCOPED_TRACE(render(plan));
        const Outcome outcome = contend(start_, contenders(), faults, Choices(plan));
        check(outcome, outcome.crashed == 0);
        return HasFatalFailure() ? std::vector<unsigned>{} : outcome.ways;
    });
}

TEST_P(ClaimTest, NeverTwoInRandomSchedules) {
    Faults faults = kSlow;
    faults.crashes = true;
    faults.errors = true;
    const std::uint64_t seed = std::random_device{}();
    for (std::uint64_t i = 0; i < 150 && !HasFatalFailure(); ++i) {
        SCOPED_TRACE("seed " + std::to_string(seed + i));
        check(contend(start_, contenders(), faults, Choices(seed + i, 4 + i % 16)), false);
    }
}

TEST(ClaimOne, TakesTwoSecondsAndComparingNone) {
    for (const std::size_t limit : {0U, 512U}) {
        Disk start = disk_with(unowned());
        start.compare_limit = limit;
        World world(start, {}, Choices(Choices::Plan{}));
        const BootTime begun = world.now;
        world.add("host0", [&](Host& host) {
            const std::unique_ptr<Volume> volume = host.open_disk();
            HostDataArea area = *HostDataArea::open(*volume, key());
            const Result<Taken> taken = claim_unowned({.volume = *volume,
                                                       .area = area,
                                                       .self = host.as_owner(),
                                                       .timings = {},
                                                       .clock = host.clock()});
            ASSERT_TRUE(taken && !taken->refused);
            EXPECT_EQ(taken->data.epoch, unowned().epoch + 1);
            EXPECT_FALSE(taken->data.owned_since.empty());
        });
        world.run(BootTime::max());
        EXPECT_LT(world.now - begun, limit == 0 ? 2'200ms : 200ms);
        EXPECT_GE(world.now - begun, limit == 0 ? 2'000ms : 0ms);
    }
}

}  // namespace
}  // namespace kz::storage
