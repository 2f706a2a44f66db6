// Guard: a process beside a zone's machine that ends it when its lease on the storage runs out and the
// monitor has not, or cannot. For the monitor's own files.
//
// Theory of operation. The guard starts with the machine and ends with it; it outlives a monitor that is
// killed or hangs. A monitor connects to run/zones/NAME/guard.sock (root only; the newest connection counts)
// and says, as messages of os/socket.h with one JSON object, each answered by {"ok": true}:
//
//   {"machine": PID, "start_time": N}    are you the guard of this machine? {"ok": false} when not
//   {"until": N}        the machine may run until N nanoseconds of the boot clock (os/boot_clock.h)
//   {"stopped": true}   its processors stand still and it has no I/O under way: there is nothing to fence
//
// A guard begins in the second state. When the moment passes it fences the machine (os/fence.h). When the
// connection ends, the monitor has died: the guard starts another one, which adopts the machine, a few times
// if need be; the moment stands meanwhile. So a machine without a living monitor stops in time to be taken
// over by another host, whatever was killed, unless monitor and guard are killed both.
//
// A monitor that gets no answer starts another guard, which takes the socket's name. The one that it gave up
// sees that when it is to act, and ends.
#pragma once

#include <string>

#include "base/fd.h"
#include "os/boot_clock.h"
#include "os/paths.h"
#include "os/process.h"

namespace kz::monitor {

// The monitor's end. Any thread, one at a time.
class GuardLink {
  public:
    // Connects to the machine's guard, or starts one.
    static Result<GuardLink> open(const HostPaths& paths, const std::string& zone,
                                  const ProcessIdentity& machine);

    // Both return when the guard has taken note. Errors: the guard is gone, or does not answer.
    Result<void> may_run_until(BootClock::time_point moment);
    Result<void> has_stopped();

  private:
    explicit GuardLink(UniqueFd fd) : fd_(std::move(fd)) {}
    Result<void> tell(const std::string& message);
    UniqueFd fd_;
};

// The guard itself: returns when the machine has ended.
Result<void> guard_machine(const HostPaths& paths, const std::string& zone, const ProcessIdentity& machine);

}  // namespace kz::monitor
