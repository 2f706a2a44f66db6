// The lease of an owner, and who takes its disk over: never two that run.
#include "storage/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulation.h"
#include "storage/lease_takeover.h"

namespace kz::storage {
namespace {

using namespace sim;
using testing::HasSubstr;
using Kind = LeaseState::Kind;

HostData owned_by(const std::string& host) {
    HostData data = unowned();
    data.owner = Owner{host, host};
    return data;
}

// One that owns and renews, as a monitor does; its machine exists until the fence, or the news that it is
// lost.
struct Runner {
    std::unique_ptr<Lease> lease;
    unsigned renewals = 0;
    RenewalOutcome last = RenewalOutcome::renewed;
    bool runs() const {
        if (!lease) return false;
        const Kind kind = lease->state().kind;
        return kind == Kind::valid || kind == Kind::must_pause;
    }
    void live(Host& host, HostDataArea& area, BootTime until) {
        const Result<HostDataRead> held = area.read();
        if (!held || !held->data.owner || held->data.owner->host_id != host.name() || held->data.claim)
            return;
        lease = std::make_unique<Lease>(*held, LeaseTimings{}, host.clock());
        while (host.clock().now() < until) {
            last = lease->renew(area).outcome;
            ++renewals;
            if (last == RenewalOutcome::lost) return;
            const auto left = lease->next_renewal() - host.clock().now();
            host.pass(std::max<BootClock::duration>(left, 1ms));
        }
    }
};

class LeaseTest : public testing::Test {
  protected:
    // Runs `body` as host "a" on a disk that says `data`.
    void as_a(const HostData& data, const std::function<void(Host&, Volume&, HostDataArea&)>& body) {
        World world(disk_with(data), {}, Choices(Choices::Plan{}));
        world.add("a", [&](Host& host) {
            const std::unique_ptr<Volume> volume = host.open_disk();
            HostDataArea area = *HostDataArea::open(*volume, key());
            body(host, *volume, area);
        });
        world.run(BootTime::max());
    }
};

TEST_F(LeaseTest, IsValidPausesAndFencesByTheBeginningOfTheRenewal) {
    as_a(owned_by("a"), [](Host& host, Volume&, HostDataArea& area) {
        Lease lease(*area.read(), {}, host.clock());
        EXPECT_EQ(lease.state().kind, Kind::not_renewed);
        EXPECT_LE(lease.next_renewal(), host.clock().now());
        const BootTime begun = host.clock().now();
        EXPECT_EQ(lease.renew(area).outcome, RenewalOutcome::renewed);
        EXPECT_GT(host.clock().now(), begun);
        EXPECT_EQ(lease.state().kind, Kind::valid);
        EXPECT_EQ(lease.state().pause_at, begun + 20s);
        EXPECT_EQ(lease.state().fence_at, begun + 30s);
        EXPECT_EQ(lease.next_renewal(), begun + 5s);
        EXPECT_EQ(lease.state_at(begun + 20s - 1ns).kind, Kind::valid);
        EXPECT_EQ(lease.state_at(begun + 20s).kind, Kind::must_pause);
        EXPECT_EQ(lease.state_at(begun + 30s).kind, Kind::must_fence);
        const HostData data = area.read()->data;
        EXPECT_EQ(data.heartbeat, 1U);
        EXPECT_EQ(data.lease, (OwnerLease{5s, 20s, 30s}));
    });
}

TEST_F(LeaseTest, GoesOnWhenTheStorageComesBack) {
    as_a(owned_by("a"), [](Host& host, Volume&, HostDataArea& area) {
        Lease lease(*area.read(), {}, host.clock());
        ASSERT_EQ(lease.renew(area).outcome, RenewalOutcome::renewed);
        host.unplugged = true;
        const Renewal failed = lease.renew(area);
        EXPECT_EQ(failed.outcome, RenewalOutcome::unreachable);
        EXPECT_THAT(failed.reason, HasSubstr("unplugged"));
        EXPECT_EQ(lease.next_renewal(), host.clock().now() + 1s);
        host.pass(60s);
        EXPECT_EQ(lease.state().kind, Kind::must_fence);
        host.unplugged = false;
        EXPECT_EQ(lease.renew(area).outcome, RenewalOutcome::renewed);
        EXPECT_EQ(lease.state().kind, Kind::valid);
    });
}

TEST_F(LeaseTest, AnyWriteOfTheOwnerIsARenewal) {
    as_a(owned_by("a"), [](Host& host, Volume&, HostDataArea& area) {
        Lease lease(*area.read(), {}, host.clock());
        HostData data = area.read()->data;
        data.state = "running";
        ASSERT_TRUE(lease.write(area, data));
        EXPECT_EQ(lease.state().kind, Kind::valid);
        ASSERT_EQ(lease.renew(area).outcome, RenewalOutcome::renewed);
        EXPECT_EQ(area.read()->data.state, "running");
        EXPECT_EQ(area.read()->data.heartbeat, 2U);
        data.change_owner(Owner{"b", "b"}, "now");
        ASSERT_TRUE(lease.write(area, data));
        EXPECT_EQ(lease.state().kind, Kind::lost);
        EXPECT_EQ(lease.write(area, data).error().code(), Errc::unavailable);
        EXPECT_EQ(lease.renew(area).outcome, RenewalOutcome::lost);
        EXPECT_EQ(area.read()->data.owner, (Owner{"b", "b"}));
    });
}

TEST_F(LeaseTest, IsLostToAnotherOwnerForEver) {
    as_a(owned_by("a"), [](Host& host, Volume& volume, HostDataArea& area) {
        Lease lease(*area.read(), {}, host.clock());
        ASSERT_EQ(lease.renew(area).outcome, RenewalOutcome::renewed);
        HostDataArea other = *HostDataArea::open(volume, key());
        HostData data = other.read()->data;
        data.change_owner(Owner{"b", "beta"}, "now");
        ASSERT_TRUE(other.write(data));
        const Renewal renewal = lease.renew(area);
        EXPECT_EQ(renewal.outcome, RenewalOutcome::lost);
        EXPECT_EQ(renewal.reason, "the disk was taken over by host beta");
        EXPECT_EQ(renewal.found->owner, data.owner);
        data.change_owner(Owner{"a", "a"}, "now");
        ASSERT_TRUE(other.write(data));
        EXPECT_EQ(lease.renew(area).outcome, RenewalOutcome::lost);
        EXPECT_EQ(lease.state().kind, Kind::lost);
    });
}

TEST_F(LeaseTest, IsLostToAnotherKeyAndToAnErasedDisk) {
    as_a(owned_by("a"), [](Host& host, Volume& volume, HostDataArea& area) {
        Lease lease(*area.read(), {}, host.clock());
        ASSERT_TRUE(HostDataArea::erase(volume));
        EXPECT_EQ(lease.renew(area).outcome, RenewalOutcome::lost);
    });
    as_a(owned_by("a"), [](Host& host, Volume& volume, HostDataArea& area) {
        Lease lease(*area.read(), {}, host.clock());
        HostDataArea other = *HostDataArea::open(volume, Secret(Bytes(16, 9)));
        ASSERT_TRUE(other.initialize(owned_by("b")));
        EXPECT_EQ(lease.renew(area).outcome, RenewalOutcome::lost);
    });
}

// A claim that was written late, over the newest record of the owner.
TEST_F(LeaseTest, ReassertsOverALateClaimWhileItIsValid) {
    for (const bool valid : {true, false}) {
        as_a(unowned(), [&](Host& host, Volume& volume, HostDataArea& area) {
            HostDataArea late = *HostDataArea::open(volume, key());
            HostData claim = late.read()->data;
            claim.claim = Claim{{"b", "b"}, "1"};
            HostData mine = area.read()->data;
            mine.change_owner(Owner{"a", "a"}, "now");
            Bytes before(kVolumeBlock);
            const std::uint64_t slot1 = volume.size_bytes() - kHostDataBytes / 2;
            ASSERT_TRUE(volume.read(slot1, before));
            ASSERT_TRUE(late.write(claim));
            Bytes claimed(kVolumeBlock);
            ASSERT_TRUE(volume.read(slot1, claimed));
            ASSERT_TRUE(volume.write_durable(slot1, before));
            ASSERT_TRUE(area.write(mine));
            Lease lease(*area.read(), {}, host.clock());
            ASSERT_EQ(lease.renew(area).outcome, RenewalOutcome::renewed);
            ASSERT_EQ(lease.renew(area).outcome, RenewalOutcome::renewed);
            ASSERT_TRUE(volume.write_durable(slot1, claimed));
            if (!valid) host.pass(20s);
            const Renewal renewal = lease.renew(area);
            EXPECT_EQ(renewal.outcome, valid ? RenewalOutcome::contested : RenewalOutcome::lost);
            EXPECT_EQ(lease.state().kind, valid ? Kind::valid : Kind::lost);
        });
    }
}

Result<Taken> take(Host& host, Volume& volume, HostDataArea& area) {
    KZ_TRY(const HostDataRead found, area.read());
    return take_over(
        {.volume = volume, .area = area, .self = host.as_owner(), .timings = {}, .clock = host.clock()},
        found);
}

TEST_F(LeaseTest, TakingOverLastsTwoWatches) {
    as_a(owned_by("b"), [](Host& host, Volume& volume, HostDataArea& area) {
        const BootTime begun = host.clock().now();
        const Result<Taken> taken = take(host, volume, area);
        ASSERT_TRUE(taken && !taken->refused);
        EXPECT_EQ(taken->data.epoch, unowned().epoch + 1);
        EXPECT_FALSE(taken->data.claim);
        EXPECT_EQ(area.read()->data.owner, (Owner{"a", "a"}));
        EXPECT_GE(host.clock().now() - begun, 80s);
        EXPECT_LT(host.clock().now() - begun, 81s);
    });
    HostData patient = owned_by("b");
    patient.lease = OwnerLease{10s, 60s, 90s};
    as_a(patient, [](Host& host, Volume& volume, HostDataArea& area) {
        const BootTime begun = host.clock().now();
        ASSERT_TRUE(take(host, volume, area));
        EXPECT_GE(host.clock().now() - begun, 140s);
    });
}

struct Race {
    bool both = false;
    bool taken = false;
    std::string refusal;
    bool a_runs = false;
    bool b_runs = false;
    RenewalOutcome last_of_a{};
    std::vector<unsigned> ways;
};

// a owns and renews (from `a_starts` on; its cable is out for a while, if so chosen); b takes over by force.
Race race(BootClock::duration a_starts, const Faults& faults, Choices choices) {
    World world(disk_with(owned_by("a")), faults, std::move(choices));
    const BootTime end = world.now + 200s;
    Race race;
    Runner a;
    Runner b;
    world.add("cable", [&](Host& host) {
        constexpr BootClock::duration kOut[]{0ms, 15s, 45s, 79s, 120s};
        const auto out = kOut[host.world().choices.pick(5)];
        host.pass(7s);
        host.world().hosts[1]->unplugged = out > 0ms;
        host.pass(out);
        host.world().hosts[1]->unplugged = false;
    });
    world.add("a", [&](Host& host) {
        host.pass(a_starts);
        const std::unique_ptr<Volume> volume = host.open_disk();
        HostDataArea area = *HostDataArea::open(*volume, key());
        a.live(host, area, end);
    });
    world.add("b", [&](Host& host) {
        host.pass(9s);
        const std::unique_ptr<Volume> volume = host.open_disk();
        HostDataArea area = *HostDataArea::open(*volume, key());
        const Result<Taken> taken = take(host, *volume, area);
        race.taken = taken && !taken->refused;
        if (taken && taken->refused) race.refusal = taken->refused->data.owner->host_id;
        if (race.taken) b.live(host, area, end);
    });
    world.run(end, [&] {
        race.a_runs = a.runs();
        race.b_runs = b.runs();
        race.both = race.both || (race.a_runs && race.b_runs);
    });
    race.last_of_a = a.last;
    race.ways = world.choices.ways();
    return race;
}

TEST_F(LeaseTest, AnOwnerThatLivesIsNamed) {
    const Race seen = race(0ms, {}, Choices(Choices::Plan{}));
    EXPECT_FALSE(seen.taken);
    EXPECT_EQ(seen.refusal, "a");
    EXPECT_TRUE(seen.a_runs);
}

TEST_F(LeaseTest, AnOwnerWithoutACableLosesItsDisk) {
    const Race seen = race(0ms, {}, Choices(Choices::Plan{{0, 4}}));
    EXPECT_TRUE(seen.taken);
    EXPECT_TRUE(seen.b_runs);
    EXPECT_EQ(seen.last_of_a, RenewalOutcome::lost);
}

// The owner begins at any moment of the watch, or just after it.
TEST_F(LeaseTest, NeverTwoRunWhenTheOwnerStartsLate) {
    for (auto start = 40s; start < 95s; start += 3s) {
        for (auto fine = 0ms; fine < 40ms; fine += 2ms) {
            if (start != 49s && fine > 0ms) break;
            const Race seen = race(start + fine, {}, Choices(Choices::Plan{}));
            ASSERT_FALSE(seen.both) << (start + fine).count();
        }
    }
}

TEST_F(LeaseTest, NeverTwoRunWhateverIsSlow) {
    const Faults faults{.latencies = {1ms, 1'500ms, 14s}, .oversleeping = {0ms}};
    for (const BootClock::duration start : {BootClock::duration(0s), BootClock::duration(48'980ms)}) {
        explore(1, 90, [&](const Choices::Plan& plan) {
            SCOPED_TRACE(render(plan));
            const Race seen = race(start, faults, Choices(plan));
            EXPECT_FALSE(seen.both);
            return HasFailure() ? std::vector<unsigned>{} : seen.ways;
        });
    }
}

TEST_F(LeaseTest, NeverTwoRunInRandomSchedules) {
    const Faults faults{
        .latencies = {1ms, 700ms, 1'500ms, 12s}, .oversleeping = {0ms, 100ms}, .errors = true};
    const std::uint64_t seed = std::random_device{}();
    std::mt19937_64 random(seed);
    for (int i = 0; i < 60 && !HasFailure(); ++i) {
        SCOPED_TRACE(seed + static_cast<std::uint64_t>(i));
        const auto start = std::chrono::milliseconds(random() % 95'000);
        EXPECT_FALSE(race(start, faults, Choices(random(), 5 + static_cast<unsigned>(i) % 40)).both);
    }
}

}  // namespace
}  // namespace kz::storage
