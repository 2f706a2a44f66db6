#include "monitor/zone_run.h"

#include <fcntl.h>

#include <utility>

#include "migrate/image_machine.h"
#include "monitor/agent.h"
#include "monitor/live_record.h"
#include "monitor/qga.h"
#include "os/file.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::seconds kDrainTime{2};
constexpr std::chrono::seconds kLeaseTime{15};
// A kernel that restarts tries several ways, one after the other; QEMU reports each.
constexpr std::chrono::seconds kOneReset{2};
// In the details of the runtime record.
constexpr const char* kMemory = "memory";
constexpr const char* kArrived = "arrived";

}  // namespace

bool has_arrived(const store::RuntimeRecord& runtime) {
    return json_text(runtime.details, kMemory).value_or("") == kArrived;
}

ZoneRun::ZoneRun(store::Registry registry, std::string zone, zone::Config config, store::ZoneRecord record,
                 store::HostIdentity host, UniqueFd log, EventFd wake, EventFd interrupt)
    : registry_(std::move(registry)),
      zone_(std::move(zone)),
      config_(std::move(config)),
      record_(std::move(record)),
      host_(std::move(host)),
      log_(std::move(log), fmt::format("zoneadmd[{}]", ::getpid())),
      wake_(std::move(wake)),
      interrupt_(std::move(interrupt)) {}

ZoneRun::~ZoneRun() = default;

Result<std::unique_ptr<ZoneRun>> ZoneRun::open(const HostPaths& paths, const std::string& zone) {
    KZ_TRY(store::Registry registry, store::Registry::open(paths));
    KZ_TRY(zone::Config config, registry.load_config(zone));
    KZ_TRY(store::ZoneRecord record, registry.record(zone));
    KZ_TRY(store::HostIdentity host, store::host_identity(paths));
    KZ_CHECK(make_directories(paths.zone_run_dir(zone), 0755));
    KZ_CHECK(make_directories(paths.zone_dir(zone), 0700));
    KZ_CHECK(make_directories(paths.log_dir(), 0755));
    KZ_TRY(UniqueFd log, open_file(paths.log_dir() / (zone + ".log"), O_WRONLY | O_CREAT | O_APPEND, 0600));
    KZ_TRY(EventFd wake, EventFd::create());
    KZ_TRY(EventFd interrupt, EventFd::create());
    KZ_TRY(std::unique_ptr<Console> console,
           Console::open(paths.zone_dir(zone) / "console.history", paths.console_socket(zone)));
    std::unique_ptr<ZoneRun> run(new ZoneRun(std::move(registry), zone, std::move(config), std::move(record),
                                             std::move(host), std::move(log), std::move(wake),
                                             std::move(interrupt)));
    run->console_ = std::move(console);
    KZ_TRY(run->agent_, Agent::open({paths, zone, run->log_}));
    KZ_TRY(run->qga_, Qga::create(*run->agent_, run->log_));
    return run;
}

Result<void> ZoneRun::open_disk() {
    if (disk_) return {};
    KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry_, config_));
    disk_.emplace(std::move(disk));
    return {};
}

qemu::QmpHandlers ZoneRun::handlers() {
    return {.on_event = [this](const qemu::QmpEvent& event) { look_at_event(event); },
            .on_close =
                [this](const Error&) {
                    machine_lost = true;
                    wake_.signal();
                }};
}

void ZoneRun::look_at_event(const qemu::QmpEvent& event) {
    if (event.name == "SHUTDOWN") guest_shut_down = true;
    if (event.name == "GUEST_PANICKED") guest_panicked = true;
    if (event.name == "WATCHDOG") guest_hangs = true;
    if (event.name == "RESET") guest_reset();
    if (event.name == "VSERPORT_CHANGE") port_changed(event.data);
    if (event.name == "BLOCK_IO_ERROR" && event.data.value("action", "") == "stop") stopped_by_disk_ = true;
    const auto left = qemu::left_device(event);
    if (left) {
        const std::lock_guard lock(left_mutex_);
        left_devices_.push_back(*left);
    }
    if (guest_shut_down || guest_panicked || guest_hangs || guest_began_anew || left) wake_.signal();
}

std::vector<qemu::LeftDevice> ZoneRun::take_left_devices() {
    const std::lock_guard lock(left_mutex_);
    return std::exchange(left_devices_, {});
}

void ZoneRun::guest_reset() {
    guest_began_anew = true;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_reset_ > kOneReset) console_->notice("rebooting");
    last_reset_ = now;
}

Result<OpenedDisk> ZoneRun::open_device(const zone::Device& device, unsigned order) const {
    const std::string what = fmt::format("device {}", device.id);
    KZ_TRY(const storage::StorageAccess access, store::storage_access(paths()));
    KZ_TRY_CONTEXT(const storage::Suri suri, storage::Suri::parse(device.storage), what);
    KZ_TRY_CONTEXT(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access), what);
    OpenedDisk disk;
    disk.id = device.id;
    KZ_TRY_CONTEXT(disk.backing, volume->backing(), what);
    disk.guest_bytes = volume->size_bytes();
    // Only the disk that the zone boots from carries host data.
    if (order == 0) {
        KZ_TRY_CONTEXT(disk.guest_bytes, storage::guest_bytes(volume->size_bytes()), what);
    }
    if (order == 0 || device.bootpri) disk.boot_index = order;
    return disk;
}

Result<std::vector<OpenedDisk>> ZoneRun::open_disks() {
    std::vector<OpenedDisk> disks;
    const std::vector<zone::Device> devices = config_.devices();
    for (unsigned order = 0; order < devices.size(); ++order) {
        KZ_TRY(OpenedDisk disk, open_device(devices[order], order));
        disks.push_back(std::move(disk));
    }
    return disks;
}

qemu::MachineShape ZoneRun::first_shape() const {
    return qemu::first_shape(migrate::shape_wishes(config_));
}

Result<void> ZoneRun::start_machine(const StartOptions& options) {
    KZ_TRY(std::vector<OpenedDisk> disks, open_disks());
    shape_ = options.shape.value_or(qemu::roomy_shape(migrate::shape_wishes(config_)));
    guest_shut_down = false;
    guest_panicked = false;
    guest_hangs = false;
    guest_began_anew = false;
    machine_lost = false;
    take_left_devices();
    std::vector<std::string> notes;
    const MachineRequest request{.config = config_,
                                 .uuid = record_.uuid,
                                 .machine_type = options.machine_type,
                                 .accel = options.accel,
                                 .boot_args = options.boot_args,
                                 .incoming = options.incoming,
                                 .shape = shape_,
                                 .disks = std::move(disks)};
    KZ_TRY(machine_, Machine::start(request, paths(), handlers(), notes));
    for (const std::string& note : notes)
        log_.info("{}", note);
    runtime_.details["taps"] = machine_->taps();
    KZ_CHECK(attach_console());
    KZ_CHECK(attach_agents());
    KZ_CHECK(record_machine());
    return watch_machine();
}

Result<void> ZoneRun::set_config(zone::Config config) {
    config_ = std::move(config);
    put_live_record(runtime_, config_, shape_);
    return store::save_runtime(paths(), zone_, runtime_);
}

Result<void> ZoneRun::record_tap(const std::string& device, const std::string& tap) {
    Json& taps = runtime_.details["taps"];
    if (!taps.is_object()) taps = Json::object();
    if (tap.empty())
        taps.erase(device);
    else
        taps[device] = tap;
    return store::save_runtime(paths(), zone_, runtime_);
}

std::string ZoneRun::tap_of(const std::string& device) const {
    const auto taps = runtime_.details.find("taps");
    return taps != runtime_.details.end() && taps->is_object() ? taps->value(device, "") : std::string();
}

Result<void> ZoneRun::record_machine() {
    if (runtime_.zone_id == 0) {
        KZ_TRY(runtime_.zone_id, store::next_zone_id(paths()));
        runtime_.started = utc_timestamp();
    }
    KZ_TRY(const ProcessIdentity self, identify_process(::getpid()));
    runtime_.monitor = self;
    runtime_.qemu = machine_->process().identity();
    runtime_.machine_type = machine_->machine_type();
    runtime_.qemu_version = machine_->qemu_version();
    // An adopted machine does not tell; what was recorded when it started stands.
    if (!machine_->accel().empty()) runtime_.details["accel"] = machine_->accel();
    put_live_record(runtime_, config_, shape_);
    return store::save_runtime(paths(), zone_, runtime_);
}

Result<void> ZoneRun::adopt_machine(const store::RuntimeRecord& runtime) {
    if (!runtime.qemu) return fail(Errc::not_found, "the zone's machine has ended");
    runtime_ = runtime;
    KZ_TRY(config_, live_config(runtime_, config_));
    KZ_TRY(const std::optional<qemu::MachineShape> shape, recorded_shape(runtime_));
    shape_ = shape.value_or(first_shape());
    KZ_TRY(machine_,
           Machine::adopt(zone_, *runtime.qemu, runtime.machine_type, shape_.layout, paths(), handlers()));
    KZ_CHECK(watch_machine());
    KZ_CHECK(attach_console());
    KZ_CHECK(attach_agents());
    return record_machine();
}

Result<void> ZoneRun::reload_config() {
    KZ_TRY(config_, registry_.load_config(zone_));
    return {};
}

Result<void> ZoneRun::attach_console() {
    KZ_TRY(UniqueFd console, machine_->connect_console());
    KZ_TRY(UniqueFd serial, machine_->connect_serial());
    console_->attach(std::move(console), std::move(serial));
    return {};
}

// Events of before this was called are made up for by what QEMU says now.
Result<void> ZoneRun::attach_agents() {
    KZ_TRY(UniqueFd agent, machine_->connect_agent());
    KZ_TRY(UniqueFd qga, machine_->connect_qga());
    agent_->attach(std::move(agent));
    qga_->attach(std::move(qga));
    KZ_TRY(const Json devices, machine_->qmp().execute("query-chardev"));
    for (const Json& device : devices) {
        if (!device.is_object() || device.value("frontend-open", Json(false)) != Json(true)) continue;
        const std::string label = json_text(device, "label").value_or("");
        if (label == "agent") agent_->port_changed(true);
        if (label == "qga") qga_->port_changed(true);
    }
    return {};
}

// Called on QEMU's reader thread alone.
void ZoneRun::port_changed(const Json& event) {
    const std::string id = json_text(event, "id").value_or("");
    const bool open = json_bool(event, "open").value_or(false);
    if (id == "agent0") agent_->port_changed(open);
    if (id == "qga0") qga_->port_changed(open);
}

// `cont` after the guest has stood still, and its clock with it.
Result<void> ZoneRun::let_run(Deadline deadline) {
    const bool connected = agent_->connected();
    if (!connected) agent_->set_clock();
    KZ_CHECK(machine_->qmp().execute("cont", Json::object(), deadline));
    if (connected) agent_->set_clock();
    qga_->set_clock();
    return {};
}

void ZoneRun::end_machine(const std::string& why) {
    if (!machine_) return;
    agent_->detach(why);
    qga_->detach();
    // Half its memory is of no use, and with processors that wait for the rest it would not end by itself.
    const bool has_half_its_memory = memory_source_ && !memory_source_->complete();
    memory_source_.reset();
    keeper_.reset();
    if (has_half_its_memory) machine_->kill();
    machine_->end();
    {
        const std::lock_guard lock(guard_mutex_);
        guard_.reset();
    }
    console_->drain(Deadline::after(kDrainTime));
    machine_.reset();
    runtime_.qemu.reset();
}

void ZoneRun::drop_machine() {
    if (machine_) machine_->kill();
    end_machine();
}

Result<void> ZoneRun::run_guest(bool begins) {
    KZ_CHECK(watch_machine());
    KZ_CHECK(continue_guest(Deadline::never(), begins));
    return set_runtime_state(zone::State::running, {});
}

Result<void> ZoneRun::continue_guest(Deadline patience, bool begins) {
    if (!keeper_) return fail(Errc::internal, "a guest was to run without a lease on its disk");
    KZ_CHECK(keeper_->clear_to_run(Deadline::after(kLeaseTime)));
    if (begins) {
        KZ_CHECK_CONTEXT(machine_->qmp().execute("cont"), "starting the guest");
        return {};
    }
    KZ_CHECK_CONTEXT(let_run(patience), "starting the guest");
    return {};
}

void ZoneRun::serve_memory(std::unique_ptr<MemorySource> source) {
    memory_source_ = std::move(source);
}

Result<void> ZoneRun::wait_for_memory() {
    if (!memory_source_ || memory_source_->complete()) return {};
    KZ_CHECK_CONTEXT(
        memory_source_->wait_until_complete(interrupt_.fd()),
        "waiting for the memory that is still in the suspend image, or on the host it comes from");
    return {};
}

void ZoneRun::show_memory(const zone::AuxSet& aux) {
    {
        const std::lock_guard lock(memory_mutex_);
        shown_memory_ = aux;
    }
    wake_.signal();
}

std::optional<zone::AuxSet> ZoneRun::take_shown_memory() {
    const std::lock_guard lock(memory_mutex_);
    return std::exchange(shown_memory_, std::nullopt);
}

void ZoneRun::memory_lost(const std::string& reason) {
    {
        const std::lock_guard lock(fence_mutex_);
        memory_lost_ = reason;
    }
    log_.error("{}", reason);
    machine_->fence();
}

void ZoneRun::serve_departed(std::function<void()> work) {
    has_departed_ = true;
    departed_ = std::jthread([this, serve = std::move(work)] {
        const std::lock_guard lock(operation_);
        if (!finished_) serve();
    });
}

Result<void> ZoneRun::set_runtime_state(zone::State state, const zone::AuxSet& aux) {
    runtime_.state = state;
    runtime_.aux = aux;
    return store::save_runtime(paths(), zone_, runtime_);
}

Result<void> ZoneRun::record_arrived() {
    runtime_.details[kMemory] = kArrived;
    return store::save_runtime(paths(), zone_, runtime_);
}

Result<void> ZoneRun::set_down(zone::State state, const zone::AuxSet& aux, const std::string& reason) {
    record_.state = state;
    record_.aux = aux;
    record_.reason = reason;
    KZ_CHECK(registry_.put_record(zone_, record_));
    return store::remove_runtime(paths(), zone_);
}

Result<void> ZoneRun::record_owned() {
    record_.state = zone::State::installed;
    record_.aux.clear();
    record_.reason.clear();
    return registry_.put_record(zone_, record_);
}

Result<void> ZoneRun::write_host_state(std::string_view state,
                                       const std::optional<storage::SuspendRecord>& suspend) {
    KZ_TRY(storage::HostData data, disk_->read_owned(record_.uuid));
    data.state = state;
    data.suspend = suspend;
    data.handover.reset();
    return disk_->write(std::move(data));
}

Result<void> ZoneRun::write_running_without_memory() {
    KZ_TRY(storage::HostData data, disk_->read_owned(record_.uuid));
    data.state = zone::state_name(zone::State::running);
    data.suspend.reset();
    return disk_->write(std::move(data));
}

void ZoneRun::finish() {
    finished_ = true;
    wake_.signal();
    shutdown_handled();
}

void ZoneRun::is_ready() {
    const std::lock_guard lock(ready_mutex_);
    ready_ = true;
    ready_changed_.notify_all();
}

void ZoneRun::wait_until_ready(std::chrono::seconds patience) {
    std::unique_lock lock(ready_mutex_);
    ready_changed_.wait_for(lock, patience, [&] { return ready_; });
}

unsigned ZoneRun::shutdowns_handled() {
    const std::lock_guard lock(shutdown_mutex_);
    return shutdowns_handled_;
}

bool ZoneRun::wait_for_shutdown(unsigned before, std::chrono::seconds patience) {
    std::unique_lock lock(shutdown_mutex_);
    return shutdown_changed_.wait_for(lock, patience, [&] { return shutdowns_handled_ != before; });
}

void ZoneRun::shutdown_handled() {
    const std::lock_guard lock(shutdown_mutex_);
    ++shutdowns_handled_;
    shutdown_changed_.notify_all();
}

}  // namespace kz::monitor
