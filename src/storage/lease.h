// Lease: what the owner of a boot disk has to do to stay it, and how it knows that it is it no longer. For
// store/boot_disk.h.
//
// Theory of operation
//
// An owner renews: it looks whether host data are byte for byte what it wrote last, writes them again with
// the next heartbeat, and looks again. Any other write of host data by the owner counts the same. The time of
// a renewal is that at which it was *begun*: whoever watches the disk sees it later than that. From there on
// the guest may run for `pause`, and its machine may live for `fence`. One who takes the disk over
// (storage/lease_takeover.h) sees nothing change for `takeover`, which is longer, writes, and sees nothing
// change for `takeover` again: what the old owner had begun has ended by then, and it has met the new owner
// or its fence. For this no write may be late without bound: see HostDataArea::bound_writes().
//
// When host data are not what was written last:
//   another owner, a higher epoch, another key, none at all   lost, for ever
//   a claim without an owner, or a record of ours that is     somebody's late write fell on ours: contested.
//   Written not newer than the last                                   again while the lease is valid; else
//   lost
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "storage/host_data.h"
#include "storage/lease_clock.h"
#include "storage/lease_timings.h"

namespace kz::storage {

enum class RenewalOutcome {
    renewed = 1,
    contested,    // renewed, after somebody's late write had fallen on our record: for the log
    unreachable,  // the storage failed: try again
    lost,         // the disk is not ours any more, for ever: nothing may be written
};

struct Renewal {
    RenewalOutcome outcome = RenewalOutcome::unreachable;
    std::string reason{};             // not empty unless renewed
    std::optional<HostData> found{};  // contested and lost: what was on the disk, if it could be read
};

struct LeaseState {
    enum class Kind {
        not_renewed = 1,  // no renewal yet: the guest may not run (on)
        valid,            // until pause_at
        must_pause,       // the guest may not run until it is renewed
        must_fence,       // nor may the machine exist, unless it is known to be stopped and quiescent
        lost,             // the machine may not exist, whatever comes
    };
    Kind kind = Kind::not_renewed;
    // Of valid, must_pause and must_fence: when they are (or were) entered.
    BootTime pause_at{};
    BootTime fence_at{};
};

// state() and next_renewal() may be called by any thread at any time and never wait for the storage. Those
// that take an area: one thread at a time (BootDisk sees to that).
class Lease {
  public:
    // The disk's owner is this host, as `held` was read.
    Lease(HostDataRead held, LeaseTimings timings, LeaseClock& clock);

    LeaseState state() const { return state_at(clock_->now()); }
    LeaseState state_at(BootTime now) const;
    // When renew() should be called next; in the past: at once.
    BootTime next_renewal() const;

    // Leaves a lost lease alone.
    Renewal renew(HostDataArea& area);
    // Any other write by the owner: a renewal too. The heartbeat is set here. One that names another owner or
    // epoch (a hand-over, a release) makes the lease a lost one once it has succeeded. Errors: those of
    // HostDataArea::write; Errc::unavailable when the lease is lost.
    Result<void> write(HostDataArea& area, HostData data);
    // What was read meanwhile for another purpose: it may say that the lease is lost.
    void notice(const HostDataRead& read);

  private:
    Renewal settle(HostDataArea& area, BootTime begun);
    Renewal reassert(HostDataArea& area, BootTime begun, HostData found);
    Renewal lose(std::string reason, std::optional<HostData> found);
    Renewal failed(const Error& error);
    Result<void> put(HostDataArea& area, BootTime begun, HostData data);
    void succeeded(BootTime begun, HostDataRead written);
    HostDataRead held() const;

    LeaseTimings timings_;
    LeaseClock* clock_;
    mutable std::mutex mutex_;         // of what follows; never held while the storage works
    HostDataRead held_;                // as written last
    std::optional<BootTime> renewed_;  // when the last successful renewal was begun
    std::optional<BootTime> failed_;   // when the last attempt failed, if none has succeeded since
    std::string lost_;                 // why; empty: it is not
};

}  // namespace kz::storage
