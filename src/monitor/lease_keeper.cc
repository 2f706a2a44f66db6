#include "monitor/lease_keeper.h"

#include <algorithm>

namespace kz::monitor {
namespace {

using std::chrono::milliseconds;

using storage::LeaseState;
using storage::RenewalOutcome;

// The boot clock also counts the host's sleep, which a wait does not notice: so never a long one.
constexpr milliseconds kLookAgain{200};

}  // namespace

LeaseKeeper::LeaseKeeper(LeaseActions actions) : actions_(std::move(actions)) {
    renewer_ = std::jthread([this](const std::stop_token& stop) { renew_for_ever(stop); });
    watcher_ = std::jthread([this](const std::stop_token& stop) { watch_for_ever(stop); });
}

LeaseKeeper::~LeaseKeeper() {
    renewer_.request_stop();
    watcher_.request_stop();
    changed_.notify_all();
}

void LeaseKeeper::sleep_until(std::unique_lock<std::mutex>& lock, storage::BootTime moment) {
    const auto left = std::chrono::ceil<milliseconds>(moment - BootClock::now());
    changed_.wait_for(lock, std::clamp(left, milliseconds(1), kLookAgain));
}

Result<void> LeaseKeeper::clear_to_run(Deadline deadline) {
    std::unique_lock lock(mutex_);
    resting_ = false;
    changed_.notify_all();
    while (true) {
        const LeaseState state = actions_.state();
        if (ended_ || state.kind == LeaseState::Kind::lost)
            return fail(Errc::unavailable, "this host has lost the zone's disk");
        if (state.kind == LeaseState::Kind::valid) {
            KZ_CHECK(actions_.may_run_until(state.fence_at));
            guest_ = Guest::runs;
            changed_.notify_all();
            return {};
        }
        if (deadline.passed())
            return fail(Errc::timeout, "the zone's storage does not answer: its lease could not be renewed");
        changed_.wait_for(lock, kLookAgain);
    }
}

Result<void> LeaseKeeper::guest_stopped() {
    const std::lock_guard lock(mutex_);
    guest_ = Guest::stopped;
    return actions_.has_stopped();
}

void LeaseKeeper::go_on_when_renewed() {
    const std::lock_guard lock(mutex_);
    resting_ = false;
    guest_ = Guest::paused;
    changed_.notify_all();
}

void LeaseKeeper::rest() {
    const std::lock_guard lock(mutex_);
    resting_ = true;
}

void LeaseKeeper::end(const std::string& reason, bool lost) {
    ended_ = true;
    guest_ = Guest::stopped;
    actions_.end_machine(reason, lost);
    changed_.notify_all();
}

void LeaseKeeper::renew_for_ever(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested() && !ended_) {
        if (resting_ || actions_.next_renewal() > BootClock::now()) {
            sleep_until(lock, resting_ ? BootClock::now() + kLookAgain : actions_.next_renewal());
            continue;
        }
        lock.unlock();
        const storage::Renewal renewal = actions_.renew();
        lock.lock();
        if (!resting_ && !ended_) renewed(renewal);
    }
}

void LeaseKeeper::renewed(const storage::Renewal& renewal) {
    changed_.notify_all();
    if (renewal.outcome == RenewalOutcome::lost) {
        return end("another host has taken the zone's disk over: " + renewal.reason, /*lost=*/true);
    }
    const bool failed = renewal.outcome == RenewalOutcome::unreachable;
    if (failed && !complained_) actions_.log("the lease could not be renewed: " + renewal.reason);
    if (!failed && complained_) actions_.log("the storage answers again");
    complained_ = failed;
    if (renewal.outcome == RenewalOutcome::contested) actions_.log(renewal.reason);
    const LeaseState state = actions_.state();
    if (failed || state.kind != LeaseState::Kind::valid || guest_ == Guest::stopped) return;
    if (const Result<void> told = actions_.may_run_until(state.fence_at); !told) {
        // Nobody would end the machine in this process' place.
        actions_.log(told.error().message());
        return;
    }
    if (guest_ == Guest::paused) return go_on_after_pause();
    actions_.storage_answers();
}

void LeaseKeeper::go_on_after_pause() {
    if (const Result<void> going = actions_.continue_guest(); !going)
        return actions_.log("the guest could not be continued: " + going.error().message());
    guest_ = Guest::runs;
}

void LeaseKeeper::pause_guest(std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    const Result<void> stopped = actions_.stop_guest();
    lock.lock();
    if (guest_ != Guest::runs) return;
    if (!stopped) return actions_.log("the guest could not be stopped yet: " + stopped.error().message());
    guest_ = Guest::paused;
    if (const Result<void> told = actions_.has_stopped(); !told) actions_.log(told.error().message());
    // The storage may have answered while the guest was being stopped.
    if (const LeaseState state = actions_.state();
        state.kind == LeaseState::Kind::valid && actions_.may_run_until(state.fence_at))
        go_on_after_pause();
}

void LeaseKeeper::watch_for_ever(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested() && !ended_) {
        const LeaseState state = actions_.state();
        if (guest_ != Guest::runs) {
            sleep_until(lock, BootClock::now() + kLookAgain);
            continue;
        }
        switch (state.kind) {
            case LeaseState::Kind::not_renewed:
                sleep_until(lock, BootClock::now() + kLookAgain);
                break;
            case LeaseState::Kind::valid:
                sleep_until(lock, state.pause_at);
                break;
            case LeaseState::Kind::must_pause:
                pause_guest(lock);
                if (guest_ == Guest::runs) sleep_until(lock, state.fence_at);
                break;
            case LeaseState::Kind::must_fence:
                end("its storage could not be reached, and another host may take it over", /*lost=*/false);
                break;
            case LeaseState::Kind::lost:
                end("another host has taken the zone's disk over", /*lost=*/true);
                break;
        }
    }
}

}  // namespace kz::monitor
