// The zone's monitor: the program zoneadmd. For src/bin/zoneadmd.
//
// One process per zone that is up. It owns the zone's QEMU, console and lease; it starts with boot, ready or
// an incoming migration, and ends with the zone. It holds run/zones/NAME/monitor.lock all its life, so that
// there is one at most.
#pragma once

namespace kz::monitor {

int monitor_main(int argc, char** argv);

}  // namespace kz::monitor
