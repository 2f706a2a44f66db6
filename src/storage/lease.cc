#include "storage/lease.h"

namespace kz::storage {
namespace {

// After a failure the next attempt comes so much earlier than after a success.
constexpr int kRetryFaster = 5;

bool is_final(Errc code) {
    return code == Errc::permission || code == Errc::not_found || code == Errc::unsupported;
}

}  // namespace

Lease::Lease(HostDataRead held, LeaseTimings timings, LeaseClock& clock)
    : timings_(timings), clock_(&clock), held_(std::move(held)) {}

LeaseState Lease::state_at(BootTime now) const {
    using Kind = LeaseState::Kind;
    const std::lock_guard lock(mutex_);
    if (!lost_.empty()) return {.kind = Kind::lost};
    if (!renewed_) return {.kind = Kind::not_renewed};
    LeaseState state{
        .kind = Kind::valid, .pause_at = *renewed_ + timings_.pause, .fence_at = *renewed_ + timings_.fence};
    if (now >= state.pause_at) state.kind = Kind::must_pause;
    if (now >= state.fence_at) state.kind = Kind::must_fence;
    return state;
}

BootTime Lease::next_renewal() const {
    const std::lock_guard lock(mutex_);
    if (failed_) return *failed_ + timings_.renew / kRetryFaster;
    return renewed_ ? *renewed_ + timings_.renew : BootTime{};
}

HostDataRead Lease::held() const {
    const std::lock_guard lock(mutex_);
    return held_;
}

void Lease::succeeded(BootTime begun, HostDataRead written) {
    const std::lock_guard lock(mutex_);
    const bool still_ours = written.data.owner == held_.data.owner && written.data.epoch == held_.data.epoch;
    held_ = std::move(written);
    renewed_ = begun;
    failed_.reset();
    if (!still_ours && lost_.empty()) lost_ = "the disk was given away";
}

Renewal Lease::lose(std::string reason, std::optional<HostData> found) {
    const std::lock_guard lock(mutex_);
    if (lost_.empty()) lost_ = std::move(reason);
    return {.outcome = RenewalOutcome::lost, .reason = lost_, .found = std::move(found)};
}

Renewal Lease::failed(const Error& error) {
    if (is_final(error.code())) return lose(error.message(), {});
    const std::lock_guard lock(mutex_);
    failed_ = clock_->now();
    return {.outcome = RenewalOutcome::unreachable, .reason = error.message()};
}

Result<void> Lease::put(HostDataArea& area, BootTime begun, HostData data) {
    data.heartbeat = held().data.heartbeat + 1;
    if (data.owner && data.owner == held().data.owner)
        data.lease = OwnerLease{timings_.renew, timings_.pause, timings_.fence};
    KZ_TRY(HostDataRead written, area.write(data));
    succeeded(begun, std::move(written));
    return {};
}

Renewal Lease::renew(HostDataArea& area) {
    if (state().kind == LeaseState::Kind::lost) return lose({}, {});
    const BootTime begun = clock_->now();
    const Result<void> written = put(area, begun, held().data);
    if (written) return {.outcome = RenewalOutcome::renewed};
    return written.error().code() == Errc::busy ? settle(area, begun) : failed(written.error());
}

Renewal Lease::settle(HostDataArea& area, BootTime begun) {
    Result<HostDataRead> found = area.read();
    if (!found) return failed(found.error());
    notice(*found);
    const LeaseState::Kind kind = state().kind;
    if (kind == LeaseState::Kind::lost) return lose({}, std::move(found->data));
    if (kind != LeaseState::Kind::valid)
        return lose("host data were changed while the lease had run out", std::move(found->data));
    return reassert(area, begun, std::move(found->data));
}

Renewal Lease::reassert(HostDataArea& area, BootTime begun, HostData found) {
    const Result<void> written = put(area, begun, held().data);
    if (written) {
        return {.outcome = RenewalOutcome::contested,
                .reason = "a late write had fallen on the host data; they were written again",
                .found = std::move(found)};
    }
    if (written.error().code() != Errc::busy) return failed(written.error());
    // Once more changed, within moments: the next renewal sees what has become of it.
    return failed(written.error());
}

void Lease::notice(const HostDataRead& read) {
    const HostDataRead ours = held();
    if (read.mac == ours.mac) return;
    const HostData& now = read.data;
    const HostData& then = ours.data;
    if (now.zone_uuid != then.zone_uuid) {
        lose("the disk was given to another zone", now);
    } else if (now.owner && !now.owner->same_host(*then.owner)) {
        lose("the disk was taken over by host " + now.owner->host_name, now);
    } else if (now.epoch > then.epoch) {
        lose("the ownership of the disk has changed", now);
    } else if (now.owner && now.epoch == then.epoch && read.generation > ours.generation) {
        // By this host's id, but not by us.
        lose("another host with this host's id, or another process, has written the host data", now);
    }
}

Result<void> Lease::write(HostDataArea& area, HostData data) {
    if (state().kind == LeaseState::Kind::lost)
        return fail(Errc::unavailable, "this host does not own the zone's disk any more: {}",
                    lose({}, {}).reason);
    const BootTime begun = clock_->now();
    Result<void> written = put(area, begun, data);
    if (written || written.error().code() != Errc::busy) return written;
    const Renewal renewal = settle(area, begun);
    if (renewal.outcome == RenewalOutcome::contested) return put(area, begun, std::move(data));
    if (renewal.outcome == RenewalOutcome::lost)
        return fail(Errc::unavailable, "this host does not own the zone's disk any more: {}", renewal.reason);
    return fail(Errc::io, "host data: {}", renewal.reason);
}

}  // namespace kz::storage
