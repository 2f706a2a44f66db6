// LeaseTimings: the intervals by which hosts tell an owner that lives from one that is gone. For those who
// hold, watch or take over a lease; store/settings.h reads them from the host's settings.
#pragma once

#include <chrono>

#include "base/result.h"

namespace kz::storage {

using Milliseconds = std::chrono::milliseconds;

struct LeaseTimings {
    Milliseconds renew{5'000};       // the owner's monitor renews the heartbeat that often
    Milliseconds pause{20'000};      // without a renewal for so long the guest is paused
    Milliseconds fence{30'000};      // ... and for so long its machine is ended
    Milliseconds takeover{40'000};   // another host watches at least for so long before it takes over
    Milliseconds claim_wait{2'000};  // from a write that claims a disk to the look that says whether it stood
    Milliseconds claim_fresh{
        1'000};  // the longest from a look at the disk to the end of the write based on it

    bool operator==(const LeaseTimings&) const = default;
    // What makes one owner of many contenders: renew * 3 <= pause < fence < takeover and
    // claim_fresh * 2 <= claim_wait < takeover, all of them positive. Errors: Errc::invalid_argument, naming
    // the two that contradict each other as the settings spell them.
    Result<void> check() const;

    // How long storage that answers again may take to carry out what it was sent before.
    Milliseconds late() const { return renew; }
    // What a clock that drifts and a machine that ends slowly are given beyond the owner's fence.
    Milliseconds margin() const { return takeover - fence; }
};

// As the settings spell it: "5s", "200ms".
std::string render_duration(Milliseconds span);

}  // namespace kz::storage
