// Reconfiguring a zone that runs: its machine is made like another configuration, as far as that can be done
// while the guest runs. For the monitor.
//
// Theory of operation. The operation "apply" of the control socket:
//
//   {"op": "apply", "dry_run": bool}                           the configuration that is stored: what cannot
//   be done
//                                                              now is said, and comes with the next boot
//   {"op": "apply", "dry_run": bool, "configuration": TEXT}    another one, without its key, which lasts
//   until the
//                                                              next boot: all of it, or nothing
//
// answers with the notes "Checking: Adding device storage=URI" and so on for each change, "Applying the
// changes", and in the end {"changes": N}. Everything is looked at before the first change is made. Each
// change that was made is recorded at once (ZoneRun::set_config), so that whatever goes on with the zone,
// here or on another host, builds the same machine. A change that fails ends the operation: what was done
// before it stays, and the error says so.
#pragma once

#include "monitor/control_server.h"
#include "monitor/zone_run.h"

namespace kz::monitor {

Result<Json> reconfigure_zone(ZoneRun& run, const Json& request, Caller& caller);

// A guest may give up a device long after it was asked to. For the main loop, under the operation's lock.
void take_away_left_devices(ZoneRun& run);

}  // namespace kz::monitor
