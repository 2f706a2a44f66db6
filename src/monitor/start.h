// Starting a zone's guest: afresh, from a suspend image, or taken over from an earlier monitor. For the
// monitor.
#pragma once

#include <string>

#include "monitor/zone_run.h"

namespace kz::monitor {

struct BootRequest {
    std::string boot_args;
    bool discard_image = false;
    bool eager = false;  // all memory is in before a resumed guest runs
};

// Resumes when host data records a suspend image (unless that is to be discarded), else boots. On failure
// nothing runs and the zone is what it was.
Result<void> boot_zone(ZoneRun& run, const BootRequest& request);
// The machine stands, nothing runs in it.
Result<void> ready_zone(ZoneRun& run);
// Takes over the QEMU that a killed monitor left, and brings an operation that it was in to its end.
Result<void> adopt_zone(ZoneRun& run, const store::RuntimeRecord& runtime);
// Power off at once.
Result<void> halt_zone(ZoneRun& run, const std::string& reason = {});
// Power off at once and boot afresh, with the configuration as it is now.
Result<void> reboot_zone(ZoneRun& run, const std::string& boot_args);

}  // namespace kz::monitor
