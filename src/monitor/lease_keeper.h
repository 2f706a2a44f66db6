// LeaseKeeper: renews a zone's lease on its storage as long as there is a machine, stops the guest in time
// when it cannot, and lets it go on when it can again. For ZoneRun.
//
// Theory of operation. Two threads. One renews, and may hang as long as the storage does. The other watches
// the clock only: when the lease says so it stops the guest, and when that cannot be done in time, or the
// lease is lost, ends the machine. The machine's guard (monitor/guard.h) is told how long the lease is good
// after each renewal that counts, always before the guest runs, and that there is nothing to fence only after
// QEMU has answered that it stands still. So should this process stand still itself, the guard acts.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "os/deadline.h"
#include "storage/lease.h"

namespace kz::monitor {

// What the keeper works on. All may be called on either of its threads, none after its destructor.
struct LeaseActions {
    std::function<storage::Renewal()> renew;
    std::function<storage::LeaseState()> state;
    std::function<storage::BootTime()> next_renewal;
    // The guard's two words.
    std::function<Result<void>(storage::BootTime)> may_run_until;
    std::function<Result<void>()> has_stopped;
    // Returns when the guest stands still and has no I/O under way; fails when that takes too long.
    std::function<Result<void>()> stop_guest;
    std::function<Result<void>()> continue_guest;
    // At once, whatever else is going on.
    std::function<void(const std::string& reason, bool lost)> end_machine;
    // A renewal has succeeded while the guest was meant to run.
    std::function<void()> storage_answers;
    std::function<void(const std::string&)> log;
};

class LeaseKeeper {
  public:
    explicit LeaseKeeper(LeaseActions actions);
    ~LeaseKeeper();
    LeaseKeeper(const LeaseKeeper&) = delete;
    LeaseKeeper& operator=(const LeaseKeeper&) = delete;

    // To be called before the guest is made to run. Returns when the lease counts and the guard knows; the
    // guest is watched from then on. Errors: Errc::timeout (the storage does not answer), Errc::unavailable
    // (the lease is lost), the guard's.
    Result<void> clear_to_run(Deadline deadline);
    // The caller has stopped the guest, and QEMU has answered. Errors: the guard's.
    Result<void> guest_stopped();

    // The guest stands still, and goes on by itself once the lease has been renewed: for a caller that
    // stopped it and cannot let it go on, because the storage does not answer.
    void go_on_when_renewed();

    // Nothing is renewed any more until one of the others is called: the disk is about to be given away.
    void rest();

  private:
    enum class Guest { stopped = 1, runs, paused };

    void renew_for_ever(const std::stop_token& stop);
    void watch_for_ever(const std::stop_token& stop);
    void renewed(const storage::Renewal& renewal);
    void go_on_after_pause();
    void pause_guest(std::unique_lock<std::mutex>& lock);
    void end(const std::string& reason, bool lost);
    void sleep_until(std::unique_lock<std::mutex>& lock, storage::BootTime moment);

    LeaseActions actions_;
    std::mutex mutex_;  // of what follows; not held while the storage works or the guest is being stopped
    std::condition_variable_any changed_;
    Guest guest_ = Guest::stopped;
    bool resting_ = false;
    bool ended_ = false;
    bool complained_ = false;
    std::jthread renewer_;
    std::jthread watcher_;
};

}  // namespace kz::monitor
