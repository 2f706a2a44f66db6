// Operations: what may be asked of a zone's monitor over its control socket. For monitor.cc.
//
//   {"op": "status"}                                  -> {state, aux, machine_type, accel, qemu}
//   {"op": "boot", "boot_args"}                       a ready zone runs
//   {"op": "halt"}  {"op": "reboot", "boot_args"}
//   {"op": "shutdown", "reboot": bool, "patience": seconds}
//   {"op": "wait-usable", "patience": seconds}        answered when an agent says that the guest is usable
//   {"op": "freeze", "at_most": seconds}              -> {file_systems}  monitor/guest_help.h
//   {"op": "thaw"}                                    -> {file_systems}
//   {"op": "apply", "dry_run": bool, ...}             the running zone is made like a configuration;
//                                                     monitor/reconfigure.h
//   {"op": "suspend"}                                 -> {bytes, pause_ms, channels}
//   {"op": "migrate", ...}                            live, to another host; monitor/outgoing.h
//   {"op": "limit-move", "bandwidth_bytes"}           of the live migration that is under way, while it runs
//   {"op": "incoming-...", ...}                       live, from another host; monitor/incoming.h
#pragma once

#include <memory>

#include "monitor/control_server.h"
#include "monitor/incoming.h"
#include "monitor/move_limits.h"
#include "monitor/zone_run.h"

namespace kz::monitor {

class Operations {
  public:
    explicit Operations(ZoneRun& run);
    ~Operations();

    // Called on a thread of the request's own.
    Result<Json> handle(const Json& request, Caller& caller);

    // Whether the zone is on its way to this host. Then look_at_arrival() is to be called now and then.
    bool arriving() const { return incoming_.arriving(); }
    void look_at_arrival();

  private:
    Result<Json> status();
    Result<Json> boot(const Json& request);
    Result<Json> shut_down(const Json& request);
    Result<void> press_power_button();
    Result<Json> wait_until_usable(const Json& request);
    Result<Json> freeze(const Json& request);
    Result<Json> thaw();
    Result<Json> migrate(const Json& request, Caller& caller);
    Result<Json> limit_move(const Json& request);
    Result<Json> give_up_departed();
    // An operation on a zone that runs, alone.
    Result<Json> exclusively(const Json& request, Caller& caller);
    Result<Json> dispatch(const std::string& name, const Json& request, Caller& caller);

    ZoneRun& run_;
    Incoming incoming_;
    MoveLimits limits_;
};

}  // namespace kz::monitor
