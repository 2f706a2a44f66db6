// ZoneRun's lease on its disk: what the keeper works on, and what it does to the machine.
#include <thread>

#include "monitor/zone_run.h"

namespace kz::monitor {
namespace {

// QEMU answers `stop` when its I/O has come to an end, which storage that is out of reach may hold up.
constexpr std::chrono::seconds kStopTime{5};
constexpr std::chrono::seconds kContinueTime{5};

}  // namespace

Result<storage::HostData> ZoneRun::hold_lease() {
    KZ_CHECK(open_disk());
    KZ_TRY(storage::HostData data, disk_->hold_lease(uuid()));
    if (const std::string warning = disk_->take_warning(); !warning.empty()) log_.info("{}", warning);
    lease_held_ = true;
    return data;
}

Result<void> ZoneRun::watch_machine() {
    if (machine_ == nullptr || keeper_) return {};
    KZ_CHECK(tell_guard([](GuardLink&) { return Result<void>(); }));
    if (lease_held_) keeper_ = std::make_unique<LeaseKeeper>(lease_actions());
    return {};
}

// A guard that was killed is replaced: the machine must never run without one.
Result<void> ZoneRun::tell_guard(const std::function<Result<void>(GuardLink&)>& word) {
    const std::lock_guard lock(guard_mutex_);
    if (guard_ && word(*guard_)) return {};
    guard_.reset();
    KZ_TRY(guard_, GuardLink::open(paths(), zone_, machine_->process().identity()));
    return word(*guard_);
}

storage::Renewal ZoneRun::renew_lease() {
    if (settle_first_) {
        const Result<storage::HostData> settled = disk_->settle();
        if (!settled) return {storage::RenewalOutcome::unreachable, settled.error().message(), {}};
        // A hand-over that has not come about: its destination is told by the disk that it waits in vain.
        if (settled->handover && settled->owner && host_.owns(*settled->owner)) {
            if (const Result<void> undone = write_host_state("running", std::nullopt); !undone)
                return {storage::RenewalOutcome::unreachable, undone.error().message(), {}};
        }
        settle_first_ = false;
    }
    return disk_->renew();
}

LeaseActions ZoneRun::lease_actions() {
    return {
        .renew = [this] { return renew_lease(); },
        .state = [this] { return disk_->lease_state(); },
        .next_renewal = [this] { return disk_->next_renewal(); },
        .may_run_until =
            [this](storage::BootTime moment) {
                return tell_guard([moment](GuardLink& guard) { return guard.may_run_until(moment); });
            },
        .has_stopped = [this] { return tell_guard([](GuardLink& guard) { return guard.has_stopped(); }); },
        .stop_guest = [this] { return stop_for_storage(); },
        .continue_guest = [this] { return continue_after_storage(); },
        .end_machine = [this](const std::string& reason, bool lost) { fence(reason, lost); },
        .storage_answers =
            [this] {
                if (!stopped_by_disk_.exchange(false)) return;
                log_.info("the guest goes on after an error of its disk");
                if (const auto going = let_run(Deadline::after(kContinueTime)); !going)
                    log_.error("{}", going.error().message());
            },
        .log = [this](const std::string& text) { log_.error("{}", text); }};
}

Result<void> ZoneRun::stop_for_storage() {
    KZ_CHECK(machine_->qmp().execute("stop", Json::object(), Deadline::after(kStopTime)));
    log_.error("the lease on the zone's disk could not be renewed: the guest is paused");
    console_->notice("paused: its storage does not answer");
    return {};
}

Result<void> ZoneRun::continue_after_storage() {
    stopped_by_disk_ = false;
    KZ_CHECK(let_run(Deadline::after(kContinueTime)));
    log_.info("the lease was renewed: the guest goes on");
    console_->notice("resuming");
    return {};
}

void ZoneRun::fence(const std::string& reason, bool lost) {
    {
        const std::lock_guard lock(fence_mutex_);
        fence_reason_ = {reason, lost};
    }
    log_.error("ending the zone's machine: {}", reason);
    machine_->fence();
    interrupt_.signal();
    wake_.signal();
}

ZoneRun::FenceReason ZoneRun::fence_reason() {
    {
        const std::lock_guard lock(fence_mutex_);
        if (!fence_reason_.text.empty()) return fence_reason_;
    }
    using Kind = storage::LeaseState::Kind;
    const Kind kind = lease_held_ ? disk_->lease_state().kind : Kind::valid;
    // The guard was quicker, or this process stood still.
    if (kind == Kind::must_fence || kind == Kind::lost)
        return {"the lease on its storage had run out", kind == Kind::lost};
    return {};
}

Result<storage::HostData> ZoneRun::settle_host_data(std::chrono::seconds patience) {
    constexpr std::chrono::milliseconds kStep{500};
    const Deadline deadline = Deadline::after(patience);
    while (true) {
        Result<storage::HostData> settled = disk_->settle();
        if (settled || deadline.passed() || machine_lost) return settled;
        log_.error("host data are not settled yet: {}", settled.error().message());
        std::this_thread::sleep_for(kStep);
    }
}

void ZoneRun::go_on_when_settled() {
    settle_first_ = true;
    keeper_->go_on_when_renewed();
}

void ZoneRun::guest_stopped() {
    if (!keeper_) return;
    if (const Result<void> told = keeper_->guest_stopped(); !told) log_.error("{}", told.error().message());
}

std::string ZoneRun::let_guest_go_on() {
    const Result<void> going = run_guest();
    if (going) return "the zone goes on running on this host";
    if (going.error().code() == Errc::timeout && keeper_) {
        keeper_->go_on_when_renewed();
        return "the guest stands still until its storage answers, and then goes on: " +
               going.error().message();
    }
    return "and the guest could not be continued: " + going.error().message();
}

}  // namespace kz::monitor
