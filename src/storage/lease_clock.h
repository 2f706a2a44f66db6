// LeaseClock: the time by which leases live, and waiting on it. For the lease and those who wait for one;
// tests bring their own.
//
// The clock of os/boot_clock.h: a host that wakes finds its lease expired, as everybody else does.
#pragma once

#include <chrono>

#include "base/result.h"
#include "os/boot_clock.h"

namespace kz::storage {

using BootTime = BootClock::time_point;

class LeaseClock {
  public:
    LeaseClock() = default;
    LeaseClock(const LeaseClock&) = delete;
    LeaseClock& operator=(const LeaseClock&) = delete;
    virtual ~LeaseClock() = default;

    virtual BootTime now() = 0;
    // Errors: Errc::cancelled when `cancel_fd` (-1: none) becomes readable first.
    virtual Result<void> wait(BootClock::duration span, int cancel_fd) = 0;
    // A number below `bound` (1 at least): how contenders for one disk get out of step.
    virtual std::uint64_t random_below(std::uint64_t bound) = 0;
};

// The host's own; lives as long as the program.
LeaseClock& system_lease_clock();

}  // namespace kz::storage
