// Live migration, the source's side. For the monitor; the hand-over's words are in migrate/offer.h.
//
// Theory of operation (DESIGN.md section 8). The phases run in order; each failure before the commit undoes
// all of it, and the zone goes on running here. The commit is one write of host data: epoch + 1, owner =
// destination. When it is not known whether that write has reached the disk, host data is read until it is:
// the guest stays stopped meanwhile. After the commit the zone belongs to the destination whatever happens
// here.
#pragma once

#include "monitor/control_server.h"
#include "monitor/move_limits.h"
#include "monitor/zone_run.h"

namespace kz::monitor {

// request: {"destination": [user@]host[:port], "cipher", "connections", "dry_run", "max_pause_ms",
// "deadline_s", "on_deadline", "bandwidth_bytes"}. The destination's key is in known_hosts already: the
// command has asked. Returns {bytes, memory_bytes, compression, pause_ms, total_ms, cipher, connections,
// connection_bytes, peer, transport, fingerprint}.
//
// While memory moves, twice a second, the caller is told of
//   transferred, bytes_per_second                 on the wire, of all connections; connection_bytes of each
//   memory_bytes_per_second                       the same before it was compressed
//   remaining, total, iteration                   bytes of memory; passes over it, the first is 1
//   dirty_bytes_per_second, throttle_percent      what the guest changes, and how far it is slowed down
//   expected_pause_ms                             if it were stopped now
//   time_left_ms                                  missing when there is no end in sight
//   bandwidth_bytes                               the limit; 0: none
Result<Json> migrate_out(ZoneRun& run, const Json& request, MoveLimits& limits, Caller& caller);

}  // namespace kz::monitor
