// Live migration, the source's side. For the monitor; the hand-over's words are in migrate/offer.h.
//
// Theory of operation (DESIGN.md section 8). The phases run in order; each failure before the commit undoes
// all of it, and the zone goes on running here. The commit is one write of host data: epoch + 1, owner =
// destination. When it is not known whether that write has reached the disk, host data is read until it is:
// the guest stays stopped meanwhile. After the commit the zone belongs to the destination whatever happens
// here.
#pragma once

#include "monitor/control_server.h"
#include "monitor/zone_run.h"

namespace kz::monitor {

// request: {"destination": [user@]host[:port], "cipher", "connections", "dry_run"}. The destination's key is
// in known_hosts already: the command has asked. Returns {bytes, pause_ms, total_ms, cipher, connections,
// peer}.
Result<Json> migrate_out(ZoneRun& run, const Json& request, Caller& caller);

}  // namespace kz::monitor
