#include "storage/lease_claim.h"

#include "base/log.h"

namespace kz::storage {
namespace {

constexpr int kRounds = 16;

// One who wants the disk, from its first look to the end.
class Claimant {
  public:
    explicit Claimant(const Taking& taking) : taking_(taking) {}
    // Nothing: it has to begin again.
    Result<std::optional<Taken>> round();
    // Between two rounds: contenders get out of step.
    Result<void> step_aside();

  private:
    Result<std::optional<Taken>> claim(HostDataRead found, BootTime looked);
    Result<std::optional<Taken>> stand(const HostData& claimed, bool late);
    Result<std::optional<Taken>> promote(HostData data, BootTime looked, bool late);
    Result<std::optional<Taken>> wait_for_other(const HostDataProbe& seen);
    Result<std::optional<HostDataRead>> write(const HostData& data);
    void withdraw(HostData claimed);

    bool was_late(BootTime looked) const {
        return taking_.clock.now() - looked > taking_.timings.claim_fresh;
    }

    const Taking& taking_;
    bool abandoned_ = false;  // the claim that is there now: nobody has touched it for long
};

// Nothing: somebody else was faster, and nothing of ours counts.
Result<std::optional<HostDataRead>> Claimant::write(const HostData& data) {
    Result<HostDataRead> written = taking_.area.write(data);
    if (written) return std::move(*written);
    if (written.error().code() == Errc::busy) return std::nullopt;
    return std::unexpected(std::move(written).error());
}

Result<std::optional<Taken>> Claimant::round() {
    const BootTime looked = taking_.clock.now();
    KZ_TRY(const HostDataProbe probe, HostDataArea::probe(taking_.volume));
    KZ_TRY(HostDataRead found, taking_.area.read());
    const bool mine = found.data.owner && found.data.owner->same_host(taking_.self);
    if (mine && found.data.claim) return settle_ownership(taking_);
    if (found.data.owner) return Taken{.refused = StillAlive{std::move(found.data), Milliseconds(0)}};
    const bool others = found.data.claim && !found.data.claim->by.same_host(taking_.self);
    if (others && !abandoned_) return wait_for_other(probe);
    return claim(std::move(found), looked);
}

Result<std::optional<Taken>> Claimant::wait_for_other(const HostDataProbe& seen) {
    KZ_TRY(const Watched watched, watch_host_data(taking_, seen, taking_.timings.takeover));
    abandoned_ = !watched.changed;
    return std::nullopt;
}

Result<std::optional<Taken>> Claimant::claim(HostDataRead found, BootTime looked) {
    HostData data = std::move(found.data);
    const bool long_way = abandoned_;
    abandoned_ = false;
    KZ_TRY(data.claim, make_claim(taking_.self));
    data.last_update = utc_timestamp();
    KZ_TRY(const bool one_step, taking_.area.writes_in_one_step(data));
    if (one_step && !long_way) return promote(std::move(data), looked, false);
    KZ_TRY(const std::optional<HostDataRead> written, write(data));
    if (!written) return std::nullopt;
    return stand(data, long_way || was_late(looked));
}

Result<std::optional<Taken>> Claimant::stand(const HostData& claimed, bool late) {
    const LeaseTimings& timings = taking_.timings;
    const Result<void> waited =
        taking_.clock.wait(late ? timings.takeover : timings.claim_wait, taking_.cancel_fd);
    if (!waited) {
        withdraw(claimed);
        return std::unexpected(waited.error());
    }
    const BootTime looked = taking_.clock.now();
    KZ_TRY(HostDataRead found, taking_.area.read());
    if (found.data.owner || found.data.claim != claimed.claim) return std::nullopt;
    return promote(std::move(found.data), looked, late);
}

Result<std::optional<Taken>> Claimant::promote(HostData data, BootTime looked, bool late) {
    const std::optional<Claim> claim = data.claim;
    data.last_update = utc_timestamp();
    data.change_owner(taking_.self, data.last_update);
    data.claim = claim;
    KZ_TRY(const std::optional<HostDataRead> owned, write(data));
    if (!owned) return std::nullopt;
    if (late) return settle_ownership(taking_);
    // Once more: for who reaches the disk without COMPARE AND WRITE, and for a late claim that falls on one
    // slot.
    KZ_TRY(const std::optional<HostDataRead> again, write(data));
    if (!again) return std::nullopt;
    if (was_late(looked)) return settle_ownership(taking_);
    return finish_taking(taking_, std::move(data));
}

// The best that can be done: a claim that stays costs the next one a longer wait.
void Claimant::withdraw(HostData claimed) {
    claimed.claim.reset();
    [[maybe_unused]] const Result<HostDataRead> written = taking_.area.write(claimed);
}

Result<void> Claimant::step_aside() {
    const auto longest = static_cast<std::uint64_t>(taking_.timings.claim_wait.count());
    return taking_.clock.wait(Milliseconds(taking_.clock.random_below(longest) + 1), taking_.cancel_fd);
}

}  // namespace

Result<Taken> claim_unowned(const Taking& taking) {
    Claimant claimant(taking);
    for (int i = 0; i < kRounds; ++i) {
        KZ_TRY(std::optional<Taken> taken, claimant.round());
        if (taken) return *std::move(taken);
        KZ_CHECK(claimant.step_aside());
    }
    return fail(Errc::busy, "other hosts keep claiming the disk, and none of them takes it; try again later");
}

}  // namespace kz::storage
