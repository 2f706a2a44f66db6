// What runs for one zone of this host and outlives the command that starts it: its monitor, the guard of its
// machine, the machine. For the client and the monitor.
//
// Theory of operation. Where systemd manages the host, each is a unit of its own, so that it is confined by
// nothing but itself and lives on whatever becomes of the others:
//
//   kzones-monitors.slice   kzone-NAME.service          the monitor
//   kzones.slice            kzguard-NAME-PID.service    the guard of the machine PID
//                           kzmachine-NAME-PID.scope    the machine, a child of the monitor
//
// When the host goes down, kz-zones.service is stopped first, and ends the zones as they want to be ended;
// then the monitors, which end machines that are left; then guards and machines.
//
// Elsewhere, and for hosts below a root of their own (-R), which systemd knows nothing of, daemons daemonise
// (os/process.h) and the machine has a cgroup (os/cgroup.h).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "os/deadline.h"
#include "os/paths.h"

namespace kz {

// Whether this host's zones are units of systemd.
bool zones_are_units(const HostPaths& paths);

struct ZoneDaemon {
    enum class Kind { monitor = 1, guard };
    Kind kind = Kind::monitor;
    std::string zone;
    pid_t machine = 0;  // of a guard
    std::vector<std::string> argv;
};
// Starts it, and waits until it says by report_ready() that it is ready, or why it is not.
Result<void> spawn_zone_daemon(const HostPaths& paths, const ZoneDaemon& daemon, Deadline deadline);

// Under systemd: gives a zone's machine a scope.
Result<void> place_machine(const std::string& zone, pid_t machine, Deadline deadline);

}  // namespace kz
