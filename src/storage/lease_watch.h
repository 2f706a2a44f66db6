// Watching host data: whether anybody writes them. For those who take a disk.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "storage/host_data.h"
#include "storage/lease_clock.h"
#include "storage/lease_timings.h"

namespace kz::storage {

// What everybody who takes a disk needs; references outlive its use.
struct Taking {
    Volume& volume;
    HostDataArea& area;  // of that volume
    Owner self;
    LeaseTimings timings;
    LeaseClock& clock;
    // Readable: give up (Errc::cancelled). -1: none.
    int cancel_fd = -1;
    // Called about every twentieth of `takeover` while watching: how long there is nothing to be seen yet to
    // go, and why that starts over when it does ("" when it does not).
    std::function<void(Milliseconds left, const std::string& restarted)> progress{};
};

// How long an owner with these host data must show nothing: my own takeover, or the owner's fence and the
// same margin after it when that is longer.
Milliseconds watch_span(const std::optional<HostData>& data, const LeaseTimings& mine);

struct Watched {
    HostDataProbe last;
    bool changed = false;        // then the watch was over at once
    BootTime last_look{};        // when the last look was begun
    Milliseconds change_age{0};  // changed: at most so long before now
};

// Looks again and again until nothing has changed (as against `first`) for `span`, between the end of the
// first and the beginning of the last look. A look that fails or takes longer than an eighth of `takeover`
// starts the watch over: what a storage that stalls shows is no sign of death. Errors: Errc::cancelled only.
Result<Watched> watch_host_data(const Taking& taking, const HostDataProbe& first, Milliseconds span);

}  // namespace kz::storage
