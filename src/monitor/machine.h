// Machine: the QEMU process of one zone, started or adopted, with its QMP connection. For the monitor.
//
// QEMU runs under a user id of the zone's own, in its own folder, with inherited descriptors only. The folder
// (socket_folder()) is the one place where it may make and reach sockets by name: relative to its working
// directory, so that it needs no right on the folders above.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "monitor/network.h"
#include "monitor/network_announce.h"
#include "os/cgroup.h"
#include "os/paths.h"
#include "os/process.h"
#include "qemu/machine.h"
#include "qemu/machine_shape.h"
#include "qemu/qmp.h"
#include "storage/backing.h"
#include "zone/config.h"

namespace kz::monitor {

// A disk of the zone, opened by the monitor.
struct OpenedDisk {
    unsigned id = 0;
    storage::VolumeBacking backing;
    std::uint64_t guest_bytes = 0;
    std::optional<unsigned> boot_index;
};

struct MachineRequest {
    const zone::Config& config;
    std::string uuid;
    std::string machine_type;  // empty: the configured one, else the newest
    std::string accel;         // empty: as configured
    std::string boot_args;     // for a direct boot
    bool incoming = false;
    qemu::MachineShape shape{};
    std::vector<OpenedDisk> disks;
};

// What QEMU is told of a disk, but for descriptors.
qemu::DiskSpec describe_disk(const OpenedDisk& disk, const qemu::MachineShape& shape);

class Machine {
  public:
    // Starts QEMU, stopped. `notes` takes what an administrator wants to know (why not KVM, no bridge).
    static Result<std::unique_ptr<Machine>> start(const MachineRequest& request, const HostPaths& paths,
                                                  qemu::QmpHandlers handlers,
                                                  std::vector<std::string>& notes);
    // Takes over the QEMU that an earlier monitor left.
    static Result<std::unique_ptr<Machine>> adopt(const std::string& zone, ProcessIdentity identity,
                                                  const std::string& machine_type, unsigned layout,
                                                  const HostPaths& paths, qemu::QmpHandlers handlers);
    // Ends QEMU if it still runs.
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    qemu::Qmp& qmp() { return *qmp_; }
    const Process& process() const { return process_; }
    // Why it ended, once pidfd is readable.
    std::string end_reason();
    const std::string& machine_type() const { return machine_type_; }
    // Empty for one that was adopted.
    const std::string& accel() const { return accel_; }
    // The tap of each anet that has one: "net0" -> "kztap3". None for one that was adopted.
    const std::map<std::string, std::string>& taps() const { return taps_; }
    // An anet's wire came or went while the machine runs.
    void add_wire(Wire wire) { announcer_.add(std::move(wire)); }
    void drop_wire(const std::string& device) { announcer_.drop(device); }
    // "7.2.22"
    std::string qemu_version() const;
    // New connections to the console (hvc0) and the serial line (ttyS0).
    Result<UniqueFd> connect_console() const;
    Result<UniqueFd> connect_serial() const;
    // To the ports of kz-agent and of QEMU's guest agent; nothing where the machine's layout has none.
    Result<UniqueFd> connect_agent() const;
    Result<UniqueFd> connect_qga() const;
    // Absolute; QEMU knows it as ".".
    const Path& socket_folder() const { return folder_; }
    // The guest has come from another host, or out of an image, and runs: tells the network where it is now.
    // The zone runs in any case, so that a failure is only logged.
    void announce(Log& log);
    // Makes a file in the socket folder reachable for QEMU's user.
    Result<void> give_to_machine(const Path& file) const;

    // `quit`, then SIGKILL when that takes too long.
    void end();
    // SIGKILL at once.
    void kill() { process_.kill_and_wait(); }
    // Ends QEMU at once, and with it whatever of its writes has not left this host (os/fence.h). From any
    // thread, also while another uses the machine.
    void fence() const;

  private:
    Machine(Process process, std::string machine_type, unsigned layout, Path folder)
        : process_(std::move(process)),
          machine_type_(std::move(machine_type)),
          layout_(layout),
          folder_(std::move(folder)) {}
    Result<UniqueFd> connect_port(std::string_view socket) const;

    Process process_;
    std::string machine_type_;
    unsigned layout_;
    std::string accel_;
    std::map<std::string, std::string> taps_;
    Path folder_;
    uid_t uid_ = 0;
    std::optional<Cgroup> cgroup_;
    std::unique_ptr<qemu::Qmp> qmp_;
    Announcer announcer_;  // uses qmp_
};

// The user id under which the zone's QEMU runs: its own, from a range that no distribution gives to anybody
// else.
uid_t machine_uid(const std::string& uuid);

}  // namespace kz::monitor
