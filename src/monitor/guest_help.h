// What a zone's guest does for its host, through whichever agent answers: kz-agent, else QEMU's own. For the
// monitor's operations. Where none does, all of it fails at once with Errc::unavailable, and the caller goes
// on without.
#pragma once

#include <chrono>

#include "base/json.h"
#include "monitor/zone_run.h"

namespace kz::monitor {

// The guest has been asked to power off, and has said that it will.
Result<void> ask_to_power_off(ZoneRun& run);

// All file systems of the guest stand still, so that what is on its disks can be copied while it runs.
// kz-agent thaws them by itself after `at_most` (1 to 600 s); qemu-ga does not: thaw_guest() must follow,
// whatever happens. Returns how many were frozen.
Result<std::uint64_t> freeze_guest(ZoneRun& run, std::chrono::seconds at_most);
// How many were thawed; fewer than were frozen: the copy that was made meanwhile may be torn.
Result<std::uint64_t> thaw_guest(ZoneRun& run);

}  // namespace kz::monitor
