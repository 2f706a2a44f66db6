// systemd as the host's manager of processes: transient services and scopes. For os/zone_daemon.cc and the
// monitor's machine.
//
// Theory of operation. A service that StartTransientUnit (org.freedesktop.systemd1(5)) makes is started by
// PID 1: it inherits neither descriptors nor confinement nor cgroup from whoever asked for it, and lives on
// when that one is restarted. A scope takes a process that runs already into a cgroup of its own. Units are
// asked for on the system bus, or, where there is no bus yet, on systemd's own socket, which is root's.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/deadline.h"

struct sd_bus;

namespace kz {

// What services and scopes have in common.
struct TransientUnit {
    std::string name;  // "kzone-web1.service"
    std::string description;
    std::string slice;
    // A unit that stops first when both are to stop; empty: none. It is kept in memory for as long as this
    // one is there, so that another transient unit cannot take its name: it must not be one.
    std::string before;
};

struct TransientService {
    TransientUnit unit;
    std::vector<std::string> argv;  // argv[0] is an absolute path
    std::map<std::string, std::string> environment;
};

class Systemd {
  public:
    // Whether systemd is this host's PID 1 (sd_booted(3)).
    static bool is_running();
    // Errors: Errc::unavailable when nobody answers.
    static Result<Systemd> connect();

    // Returns when systemd has taken the service on; whether it comes up is another question (is_up). A unit
    // of that name that is just ending is waited for. Errors: Errc::busy when it does not end in time.
    Result<void> start_service(const TransientService& service, Deadline deadline);
    // Returns when the process is in the scope's cgroup.
    Result<void> start_scope(const TransientUnit& scope, pid_t process, Deadline deadline);
    // It is coming up, or runs.
    Result<bool> is_up(const std::string& unit);

  private:
    struct CloseBus {
        void operator()(sd_bus* bus) const;
    };
    using Bus = std::unique_ptr<sd_bus, CloseBus>;

    explicit Systemd(Bus bus) : bus_(std::move(bus)) {}
    static Result<Bus> open_bus();
    Bus bus_;
};

}  // namespace kz
