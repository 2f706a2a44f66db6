// ZoneRun: one zone while it has a monitor: its console, its machine, its disk and its state, and the steps
// that the operations are made of. For the monitor's own files.
//
// Lock order: an operation holds operation() while it works; the monitor's main loop takes it before it acts
// on what QEMU reports. The members are used by whoever holds it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/log.h"
#include "monitor/console.h"
#include "monitor/guard.h"
#include "monitor/lease_keeper.h"
#include "monitor/machine.h"
#include "monitor/memory_source.h"
#include "os/io.h"
#include "qemu/hotplug.h"
#include "qemu/machine_shape.h"
#include "storage/volume.h"
#include "store/boot_disk.h"
#include "store/host.h"
#include "store/registry.h"
#include "store/runtime.h"

namespace kz::monitor {

class Agent;
class Qga;

// How long an operation that stands or falls with it waits for settle_host_data().
inline constexpr std::chrono::minutes kSettleTime{10};

// Whether record_arrived() was called of that machine.
bool has_arrived(const store::RuntimeRecord& runtime);

class ZoneRun {
  public:
    static Result<std::unique_ptr<ZoneRun>> open(const HostPaths& paths, const std::string& zone);
    ~ZoneRun();
    ZoneRun(const ZoneRun&) = delete;
    ZoneRun& operator=(const ZoneRun&) = delete;

    const std::string& zone() const { return zone_; }
    const HostPaths& paths() const { return registry_.paths(); }
    const store::Registry& registry() const { return registry_; }
    // Of the zone that runs: as stored when it was booted, with what was changed since (zone/live_change.h).
    const zone::Config& config() const { return config_; }
    const qemu::MachineShape& shape() const { return shape_; }
    // Of a machine of the configuration that does not tell: before shapes were recorded.
    qemu::MachineShape first_shape() const;
    // The machine that is to go on here is that of this configuration; start_machine() records it.
    void become(zone::Config config) { config_ = std::move(config); }
    // The running zone has become that. Recorded, for a monitor that takes this one's place.
    Result<void> set_config(zone::Config config);
    const store::HostIdentity& host() const { return host_; }
    const std::string& uuid() const { return record_.uuid; }
    Log& log() { return log_; }
    Console& console() { return *console_; }
    Agent& agent() { return *agent_; }
    Qga& qga() { return *qga_; }
    Machine* machine() { return machine_.get(); }
    store::BootDisk& disk() { return *disk_; }
    const store::RuntimeRecord& runtime() const { return runtime_; }

    // The zone is up, or was taken over, or that has failed: operations may come in. They wait for it.
    void is_ready();
    void wait_until_ready(std::chrono::seconds patience);
    // One operation at a time. An operation that another one is in the way of fails with Errc::busy.
    std::mutex& operation() { return operation_; }
    // Signalled when QEMU ended or said something that the main loop must look at.
    const EventFd& wake() const { return wake_; }
    // Signalled to make a running operation give up: its caller cancelled, or the guest powered off under it.
    const EventFd& interrupt() const { return interrupt_; }

    // Opens the boot disk under the zone's key.
    Result<void> open_disk();
    // Reads host data, which must say that the disk is this host's, and begins to hold the lease on it: it is
    // renewed from the moment at which there is a machine.
    Result<storage::HostData> hold_lease();
    // Of the machine that there is, once the lease is held; else nullptr.
    LeaseKeeper* keeper() { return keeper_.get(); }
    // After a write of host data whose outcome is not known: waits, for `patience`, until the disk says for
    // good what came of it. The guest must stand still. Errors: the storage's last.
    Result<storage::HostData> settle_host_data(std::chrono::seconds patience);
    // The guest was stopped by an operation, and QEMU has answered.
    void guest_stopped();
    struct StartOptions {
        std::string boot_args;
        std::string machine_type;
        std::string accel;  // empty: as configured
        bool incoming = false;
        // Of a machine that goes on here; nothing: of one that boots.
        std::optional<qemu::MachineShape> shape{};
    };
    // Starts QEMU, stopped, with its console attached, and records it.
    Result<void> start_machine(const StartOptions& options);
    // A disk of the configuration. `order`: its place in the boot order; the first one holds host data.
    Result<OpenedDisk> open_device(const zone::Device& device, unsigned order) const;
    // An anet has another tap now; empty: none.
    Result<void> record_tap(const std::string& device, const std::string& tap);
    std::string tap_of(const std::string& device) const;
    // The configuration as it is on disk now, for the next start of the machine.
    Result<void> reload_config();
    // Takes over the QEMU of an earlier monitor.
    Result<void> adopt_machine(const store::RuntimeRecord& runtime);
    // Ends QEMU and reads the last of its console. `why` is told whoever is logged in.
    void end_machine(const std::string& why = "the zone has halted");
    // The same for one in which nothing has run: QEMU has nothing to bring to an end, and one that was given
    // half a stream may not answer.
    void drop_machine();

    // The guest goes on, once the lease counts: `cont`, state running. `begins`: it has never run.
    Result<void> run_guest(bool begins = false);
    // The same without a change of the state: it was running, and is to go on. Also on a thread that holds no
    // operation. After `patience` QEMU may still do it.
    Result<void> continue_guest(Deadline patience = Deadline::never(), bool begins = false);
    // The machine gets its memory from there while it runs; until it has ended.
    void serve_memory(std::unique_ptr<MemorySource> source);
    // Returns when all memory is in; at once where nothing serves any. Errors: Errc::cancelled (interrupt()),
    // why it will not come whole.
    Result<void> wait_for_memory();
    // After an operation that failed. Where the storage does not answer now, the guest goes on when it does.
    // Returns what has come of it, for the user.
    std::string let_guest_go_on();
    // The same where it is not known yet what host data say: they are settled before the guest goes on.
    void go_on_when_settled();
    Result<void> set_runtime_state(zone::State state, const zone::AuxSet& aux);
    // All memory of a zone that comes from another host is here, or will follow. Recorded before the source
    // is told: a machine without this record is never committed to.
    Result<void> record_arrived();
    // What survives the monitor; also forgets the runtime record when the zone is not up any more.
    Result<void> set_down(zone::State state, const zone::AuxSet& aux, const std::string& reason = {});
    // The zone has come to this host for good: installed here, as far as the record of what outlives the
    // monitor goes.
    Result<void> record_owned();
    // Host data: state and suspend record; a hand-over that was announced is over with it.
    Result<void> write_host_state(std::string_view state,
                                  const std::optional<storage::SuspendRecord>& suspend);
    // The zone has come here, and some of its memory has not: running, and the hand-over stays.
    Result<void> write_running_without_memory();

    // The monitor's work is done: the main loop ends.
    void finish();
    bool finished() const { return finished_; }
    // A guest that powered itself off is started again instead of ending the zone.
    std::atomic<bool> restart_after_shutdown = false;
    // The guest has powered off or panicked, or QEMU's connection ended; set by QEMU's reader thread.
    std::atomic<bool> guest_shut_down = false;
    std::atomic<bool> guest_panicked = false;
    std::atomic<bool> machine_lost = false;
    // A watchdog was not fed, or the guest has begun anew.
    std::atomic<bool> guest_hangs = false;
    std::atomic<bool> guest_began_anew = false;
    // Devices that the guest has given up, as QEMU tells; what an operation waited for itself it takes away.
    std::vector<qemu::LeftDevice> take_left_devices();
    // What was to come from another host will not come whole.
    std::atomic<bool> arrival_broken = false;
    // What the main loop is to show beside "running", when the memory that is missing changes something about
    // that.
    void show_memory(const zone::AuxSet& aux);
    std::optional<zone::AuxSet> take_shown_memory();
    // The machine will not get the rest of its memory: it is ended, and the reason is said.
    void memory_lost(const std::string& reason);
    // The guest runs at another host, which still gets its memory from here: what does that, on a thread of
    // its own that takes operation(). Called once.
    void serve_departed(std::function<void()> work);
    bool has_departed() const { return has_departed_; }
    // Of that: the other host cannot be reached; then the administrator may give it up.
    std::atomic<bool> departed_unreachable = false;
    std::atomic<bool> give_up_departed = false;
    // This monitor was told to end.
    std::atomic<bool> ending = false;

    // Why the machine was ended for the sake of the storage. Empty: it was not.
    struct FenceReason {
        std::string text;
        bool lost = false;  // the disk is another host's
    };
    FenceReason fence_reason();
    // That of memory_lost(). Empty: it was not.
    std::string memory_lost_reason() {
        const std::lock_guard lock(fence_mutex_);
        return memory_lost_;
    }

    // How often the main loop has dealt with a guest that powered off; wait_for_shutdown waits for one more
    // than `before` and tells whether it came.
    unsigned shutdowns_handled();
    bool wait_for_shutdown(unsigned before, std::chrono::seconds patience);
    void shutdown_handled();

  private:
    ZoneRun(store::Registry registry, std::string zone, zone::Config config, store::ZoneRecord record,
            store::HostIdentity host, UniqueFd log, EventFd wake, EventFd interrupt);
    qemu::QmpHandlers handlers();
    // Called on QEMU's reader thread alone.
    void look_at_event(const qemu::QmpEvent& event);
    void guest_reset();
    Result<std::vector<OpenedDisk>> open_disks();
    Result<void> attach_console();
    Result<void> attach_agents();
    void port_changed(const Json& event);
    Result<void> let_run(Deadline deadline);
    Result<void> record_machine();
    Result<void> watch_machine();
    LeaseActions lease_actions();
    storage::Renewal renew_lease();
    Result<void> tell_guard(const std::function<Result<void>(GuardLink&)>& word);
    Result<void> stop_for_storage();
    Result<void> continue_after_storage();
    void fence(const std::string& reason, bool lost);

    store::Registry registry_;
    std::string zone_;
    zone::Config config_;
    store::ZoneRecord record_;
    store::HostIdentity host_;
    Log log_;
    EventFd wake_;
    EventFd interrupt_;
    std::mutex operation_;
    std::unique_ptr<Console> console_;
    std::unique_ptr<Agent> agent_;
    std::unique_ptr<Qga> qga_;  // uses agent_
    std::unique_ptr<Machine> machine_;
    qemu::MachineShape shape_;
    std::mutex left_mutex_;
    std::vector<qemu::LeftDevice> left_devices_;  // by left_mutex_
    std::optional<store::BootDisk> disk_;
    bool lease_held_ = false;
    std::atomic<bool> has_departed_ = false;
    std::mutex memory_mutex_;
    std::optional<zone::AuxSet> shown_memory_;  // by memory_mutex_
    std::mutex guard_mutex_;
    std::optional<GuardLink> guard_;  // by guard_mutex_
    std::unique_ptr<LeaseKeeper> keeper_;
    std::unique_ptr<MemorySource> memory_source_;
    // The next renewal must settle host data first.
    std::atomic<bool> settle_first_ = false;
    // QEMU has stopped the guest because of an error of its disk.
    std::atomic<bool> stopped_by_disk_ = false;
    std::mutex fence_mutex_;
    FenceReason fence_reason_;  // by fence_mutex_
    std::string memory_lost_;   // by fence_mutex_
    store::RuntimeRecord runtime_;
    std::atomic<bool> finished_ = false;
    std::chrono::steady_clock::time_point last_reset_;
    std::mutex ready_mutex_;
    std::condition_variable ready_changed_;
    bool ready_ = false;  // by ready_mutex_
    std::mutex shutdown_mutex_;
    std::condition_variable shutdown_changed_;
    unsigned shutdowns_handled_ = 0;
    std::jthread departed_;  // uses all of the above
};

}  // namespace kz::monitor
