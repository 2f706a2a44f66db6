#include "monitor/lease_keeper.h"

#include <gtest/gtest.h>

#include <atomic>

namespace kz::monitor {
namespace {

using namespace std::chrono_literals;

using storage::BootTime;
using storage::LeaseState;
using storage::Renewal;
using storage::RenewalOutcome;

constexpr auto kRenew = 20ms;
constexpr auto kPause = 150ms;
constexpr auto kFence = 400ms;
constexpr auto kPatience = 10s;

// A lease on storage that can be cut, a guest that can refuse to stop, and a guard.
class LeaseKeeperTest : public testing::Test {
  protected:
    LeaseActions actions() {
        return {
            .renew =
                [this] {
                    const BootTime begun = BootClock::now();
                    if (lost) return Renewal{RenewalOutcome::lost, "node2 owns it", {}};
                    if (cut) {
                        tried = begun.time_since_epoch().count();
                        return Renewal{RenewalOutcome::unreachable, "cable cut", {}};
                    }
                    counted = begun.time_since_epoch().count();
                    tried = begun.time_since_epoch().count();
                    ++renewals;
                    return Renewal{RenewalOutcome::renewed, {}, {}};
                },
            .state =
                [this] {
                    const BootTime from{BootClock::duration(counted.load())};
                    const BootTime now = BootClock::now();
                    LeaseState state{LeaseState::Kind::valid, from + kPause, from + kFence};
                    if (now >= state.pause_at) state.kind = LeaseState::Kind::must_pause;
                    if (now >= state.fence_at) state.kind = LeaseState::Kind::must_fence;
                    if (counted == 0) state.kind = LeaseState::Kind::not_renewed;
                    return state;
                },
            .next_renewal = [this] { return BootTime{BootClock::duration(tried.load())} + kRenew; },
            .may_run_until = [this](BootTime moment) -> Result<void> {
                EXPECT_GT(moment, BootClock::now());
                armed = true;
                return {};
            },
            .has_stopped = [this]() -> Result<void> {
                EXPECT_FALSE(running) << "the guard was disarmed while the guest ran";
                armed = false;
                return {};
            },
            .stop_guest = [this]() -> Result<void> {
                ++stops;
                if (stubborn) return fail(Errc::timeout, "QEMU waits for its disk");
                running = false;
                return {};
            },
            .continue_guest = [this]() -> Result<void> {
                EXPECT_TRUE(armed) << "the guest ran before the guard was armed";
                running = true;
                return {};
            },
            .end_machine =
                [this](const std::string&, bool by_loss) {
                    running = false;
                    ended = true;
                    ended_by_loss = by_loss;
                },
            .storage_answers = [this] { ++answers; },
            .log = [](const std::string&) {},
        };
    }
    void run(LeaseKeeper& keeper) {
        ASSERT_TRUE(keeper.clear_to_run(Deadline::after(kPatience)));
        EXPECT_TRUE(armed);
        running = true;
    }
    template <typename Condition>
    bool comes(Condition condition) {
        const Deadline deadline = Deadline::after(kPatience);
        while (!condition()) {
            if (deadline.passed()) return false;
            std::this_thread::sleep_for(1ms);
        }
        return true;
    }

    std::atomic<std::int64_t> counted = 0;
    std::atomic<std::int64_t> tried = 0;
    std::atomic<bool> cut = false;
    std::atomic<bool> lost = false;
    std::atomic<bool> stubborn = false;
    std::atomic<bool> running = false;
    std::atomic<bool> armed = false;
    std::atomic<bool> ended = false;
    std::atomic<bool> ended_by_loss = false;
    std::atomic<int> stops = 0;
    std::atomic<int> renewals = 0;
    std::atomic<int> answers = 0;
};

TEST_F(LeaseKeeperTest, RenewsWhileTheGuestRuns) {
    LeaseKeeper keeper(actions());
    run(keeper);
    EXPECT_TRUE(comes([&] { return renewals >= 5 && answers >= 3; }));
    EXPECT_EQ(stops, 0);
    EXPECT_TRUE(running);
}

TEST_F(LeaseKeeperTest, StopsTheGuestWhenTheStorageIsCutAndLetsItGoOnAfterwards) {
    LeaseKeeper keeper(actions());
    run(keeper);
    cut = true;
    ASSERT_TRUE(comes([&] { return !running && !armed; }));
    // Long past the fence: what stands still is left alone.
    const BootTime cut_since = BootClock::now();
    ASSERT_TRUE(comes([&] { return BootClock::now() - cut_since > 2 * kFence; }));
    EXPECT_FALSE(ended);
    cut = false;
    EXPECT_TRUE(comes([&] { return running && armed; }));
}

TEST_F(LeaseKeeperTest, EndsAMachineThatCannotBeStopped) {
    LeaseKeeper keeper(actions());
    run(keeper);
    stubborn = true;
    cut = true;
    ASSERT_TRUE(comes([&] { return ended.load(); }));
    EXPECT_FALSE(ended_by_loss);
    EXPECT_GT(stops, 0);
    EXPECT_TRUE(armed) << "the guard must not be told that it stopped";
}

TEST_F(LeaseKeeperTest, EndsTheMachineWhenTheDiskIsAnothers) {
    LeaseKeeper keeper(actions());
    run(keeper);
    lost = true;
    ASSERT_TRUE(comes([&] { return ended.load(); }));
    EXPECT_TRUE(ended_by_loss);
    EXPECT_EQ(keeper.clear_to_run(Deadline::after(1ms)).error().code(), Errc::unavailable);
}

TEST_F(LeaseKeeperTest, DoesNotClearAGuestOnStorageThatDoesNotAnswer) {
    cut = true;
    LeaseKeeper keeper(actions());
    EXPECT_EQ(keeper.clear_to_run(Deadline::after(50ms)).error().code(), Errc::timeout);
    EXPECT_FALSE(armed);
}

TEST_F(LeaseKeeperTest, LeavesTheDiskAloneWhileItRests) {
    LeaseKeeper keeper(actions());
    run(keeper);
    running = false;
    ASSERT_TRUE(keeper.guest_stopped());
    keeper.rest();
    // One renewal may have been under way.
    const int before = renewals;
    const BootTime since = BootClock::now();
    ASSERT_TRUE(comes([&] { return BootClock::now() - since > 10 * kRenew; }));
    EXPECT_LE(renewals, before + 1);
    EXPECT_FALSE(armed);
}

}  // namespace
}  // namespace kz::monitor
