#include "monitor/machine.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/json.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "os/fence.h"
#include "os/file.h"
#include "os/io.h"
#include "os/socket.h"
#include "os/zone_daemon.h"
#include "qemu/accel.h"
#include "qemu/firmware.h"
#include "qemu/probe.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::seconds kStartTime{30};
constexpr std::chrono::seconds kQuitTime{5};
constexpr std::chrono::seconds kLastMoment{1};
constexpr int kFirstInheritedFd = 10;
constexpr std::string_view kAgentPort = "agent-port.sock";
constexpr std::string_view kQgaPort = "qga-port.sock";

Path qmp_socket(const HostPaths& paths, std::string_view zone) {
    return paths.zone_run_dir(zone) / "qmp.sock";
}

// Everything QEMU inherits, with the numbers that it will have there. Owns what the parent holds until it has
// started.
class Inheritance {
  public:
    int add(UniqueFd fd) {
        const int number = kFirstInheritedFd + static_cast<int>(owned_.size());
        map_.push_back({fd.get(), number});
        owned_.push_back(std::move(fd));
        return number;
    }
    std::vector<ChildFd> map() const { return map_; }

  private:
    std::vector<UniqueFd> owned_;
    std::vector<ChildFd> map_;
};

// A descriptor from which a child reads `content`.
Result<UniqueFd> in_memory(const char* name, ByteView content) {
    UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
    if (!fd) return fail_errno(errno, "memfd_create");
    KZ_CHECK(write_all(fd.get(), content, Deadline::after(kStartTime)));
    return fd;
}

Result<void> place_disk(const storage::VolumeBacking& backing, Inheritance& inheritance,
                        qemu::DiskSpec& disk) {
    if (const auto* local = std::get_if<storage::LocalBacking>(&backing)) {
        UniqueFd copy(::fcntl(local->fd.get(), F_DUPFD_CLOEXEC, 3));
        if (!copy) return fail_errno(errno, "dup");
        disk.fd = inheritance.add(std::move(copy));
    }
    const auto* iscsi = std::get_if<storage::IscsiBacking>(&backing);
    if (iscsi != nullptr && iscsi->chap) {
        KZ_TRY(UniqueFd password, in_memory("secret", iscsi->chap->password.view()));
        std::get<qemu::IscsiDisk>(disk.remote).chap_password_fd = inheritance.add(std::move(password));
    }
    return {};
}

Result<void> add_disks(const MachineRequest& request, Inheritance& inheritance, qemu::MachineSpec& spec) {
    for (const OpenedDisk& disk : request.disks) {
        qemu::DiskSpec disk_spec = describe_disk(disk, request.shape);
        // A kernel that is given directly comes first, and QEMU gives it the first place itself.
        if (!request.config.kernel().empty()) disk_spec.boot_index.reset();
        KZ_CHECK_CONTEXT(place_disk(disk.backing, inheritance, disk_spec), fmt::format("device {}", disk.id));
        spec.disks.push_back(std::move(disk_spec));
    }
    return {};
}

struct Wiring {
    std::vector<Wire> wires;
    std::map<std::string, std::string> taps;
};

Result<Wiring> add_nics(const zone::Config& config, Inheritance& inheritance, qemu::MachineSpec& spec,
                        std::vector<std::string>& notes) {
    Wiring wiring;
    for (const zone::Anet& anet : config.anets()) {
        KZ_TRY(ConnectedNic connected, connect_nic(config, anet));
        if (connected.tap) connected.nic.tap_fd = inheritance.add(std::move(*connected.tap));
        if (connected.wire) {
            wiring.taps[connected.wire->device] = connected.tap_name;
            wiring.wires.push_back(std::move(*connected.wire));
        }
        if (!connected.note.empty()) notes.push_back(std::move(connected.note));
        spec.nics.push_back(std::move(connected.nic));
    }
    return wiring;
}

Result<void> add_firmware(const MachineRequest& request, Inheritance& inheritance, qemu::MachineSpec& spec) {
    KZ_TRY(const auto firmware, qemu::firmware_of(request.config.uefi(), request.shape.firmware_bytes));
    if (!firmware) return {};
    KZ_TRY(const Bytes image, qemu::read_firmware(*firmware));
    KZ_TRY(UniqueFd memory, in_memory("firmware", image));
    spec.firmware = qemu::inherited_path(inheritance.add(std::move(memory)));
    return {};
}

Result<void> add_direct_boot(const MachineRequest& request, Inheritance& inheritance,
                             qemu::MachineSpec& spec) {
    if (request.config.kernel().empty()) return {};
    KZ_TRY_CONTEXT(UniqueFd kernel, open_file(request.config.kernel(), O_RDONLY), "kernel");
    spec.kernel = qemu::inherited_path(inheritance.add(std::move(kernel)));
    if (!request.config.initrd().empty()) {
        KZ_TRY_CONTEXT(UniqueFd initrd, open_file(request.config.initrd(), O_RDONLY), "initrd");
        spec.initrd = qemu::inherited_path(inheritance.add(std::move(initrd)));
    }
    spec.append = request.boot_args.empty() ? request.config.bootargs() : request.boot_args;
    return {};
}

struct Sockets {
    int qmp;
    int console;
    int serial;
    int agent;
    int qga;
};

Result<Sockets> add_sockets(const HostPaths& paths, const std::string& zone, Inheritance& inheritance) {
    const Path folder = paths.zone_run_dir(zone);
    KZ_TRY(UniqueFd qmp, unix_listen(qmp_socket(paths, zone), 0600));
    KZ_TRY(UniqueFd console, unix_listen(folder / "hvc0.sock", 0600));
    KZ_TRY(UniqueFd serial, unix_listen(folder / "ttyS0.sock", 0600));
    KZ_TRY(UniqueFd agent, unix_listen(folder / kAgentPort, 0600));
    KZ_TRY(UniqueFd qga, unix_listen(folder / kQgaPort, 0600));
    return Sockets{inheritance.add(std::move(qmp)), inheritance.add(std::move(console)),
                   inheritance.add(std::move(serial)), inheritance.add(std::move(agent)),
                   inheritance.add(std::move(qga))};
}

Result<Path> make_socket_folder(const HostPaths& paths, const std::string& zone, uid_t uid) {
    const Path folder = paths.zone_run_dir(zone) / "qemu";
    KZ_CHECK(make_directories(folder, 0700));
    if (::chown(folder.c_str(), uid, uid) < 0) return fail_errno(errno, folder.string());
    return folder;
}

// The last lines that QEMU wrote, for an error that says more than "it ended".
std::string log_tail(const Path& log_file) {
    const Result<std::string> text = read_file(log_file, 1 << 20);
    if (!text) return {};
    const auto end = text->find_last_not_of('\n');
    if (end == std::string::npos) return {};
    const auto start = text->rfind('\n', end);
    return ": " + text->substr(start == std::string::npos ? 0 : start + 1,
                               end - (start == std::string::npos ? 0 : start + 1) + 1);
}

// Nothing where systemd gives it one, once it runs.
std::optional<Cgroup> machine_cgroup(const HostPaths& paths, const std::string& zone, uid_t uid) {
    if (zones_are_units(paths)) return std::nullopt;
    return Cgroup::create(fmt::format("{}-{}", zone, uid));
}

}  // namespace

qemu::DiskSpec describe_disk(const OpenedDisk& disk, const qemu::MachineShape& shape) {
    qemu::DiskSpec spec;
    spec.queues = qemu::disk_queues(shape);
    spec.index = disk.id;
    spec.guest_bytes = disk.guest_bytes;
    spec.boot_index = disk.boot_index;
    if (const auto* local = std::get_if<storage::LocalBacking>(&disk.backing)) {
        spec.block_device = local->block_device;
        spec.direct_io = (::fcntl(local->fd.get(), F_GETFL) & O_DIRECT) != 0;
    } else if (const auto* iscsi = std::get_if<storage::IscsiBacking>(&disk.backing)) {
        spec.remote = qemu::IscsiDisk{.portal = iscsi->portal,
                                      .target = iscsi->target,
                                      .lun = iscsi->lun,
                                      .initiator_name = iscsi->initiator_name,
                                      .chap_user = iscsi->chap ? iscsi->chap->user : std::string()};
    } else if (const auto* nfs = std::get_if<storage::NfsBacking>(&disk.backing)) {
        spec.remote = qemu::NfsDisk{.host = nfs->host, .path = nfs->path, .uid = nfs->uid, .gid = nfs->gid};
    }
    return spec;
}

uid_t machine_uid(const std::string& uuid) {
    constexpr uid_t kFirst = 1879048192;
    constexpr std::uint32_t kCount = 1U << 28;
    const auto digest = crypto::sha256(as_bytes("kzones machine uid " + uuid));
    return kFirst + load_le<std::uint32_t>(digest.data()) % kCount;
}

Result<std::unique_ptr<Machine>> Machine::start(const MachineRequest& request, const HostPaths& paths,
                                                qemu::QmpHandlers handlers, std::vector<std::string>& notes) {
    const std::string zone = request.config.name();
    const uid_t uid = machine_uid(request.uuid);
    KZ_TRY(const qemu::QemuInfo info, qemu::probe_qemu({.cache_dir = paths.cache_dir()}));
    const std::string wanted_accel = request.accel.empty() ? request.config.accel() : request.accel;
    KZ_TRY(const qemu::AccelChoice accel,
           qemu::choose_accel(wanted_accel, qemu::gather_accel_facts(uid, uid, {})));
    if (accel.accel == "tcg" && wanted_accel == "auto")
        notes.push_back(fmt::format("running without KVM: {}", accel.reason));
    qemu::MachineSpec spec;
    spec.name = zone;
    spec.uuid = request.uuid;
    spec.machine = !request.machine_type.empty()       ? request.machine_type
                   : !request.config.machine().empty() ? request.config.machine()
                                                       : info.newest_q35();
    spec.accel = accel.accel;
    KZ_TRY(spec.cpu_model, qemu::cpu_model_for(request.config.cpu_arch(), accel.accel));
    spec.cpus = request.config.cpu_count();
    spec.layout = request.shape.layout;
    spec.max_cpus = request.shape.max_cpus;
    spec.disk_ports = request.shape.disk_ports;
    spec.nic_ports = request.shape.nic_ports;
    // What the balloon holds of it is the guest's state.
    spec.memory_bytes = request.shape.memory_bytes;
    spec.incoming = request.incoming;
    KZ_TRY(const Path folder, make_socket_folder(paths, zone, uid));
    Inheritance inheritance;
    KZ_TRY(const Sockets sockets, add_sockets(paths, zone, inheritance));
    spec.qmp_fd = sockets.qmp;
    spec.console_fd = sockets.console;
    spec.serial_fd = sockets.serial;
    spec.agent_fd = sockets.agent;
    spec.qga_fd = sockets.qga;
    KZ_CHECK(add_disks(request, inheritance, spec));
    KZ_TRY(Wiring wiring, add_nics(request.config, inheritance, spec, notes));
    KZ_CHECK_CONTEXT(add_firmware(request, inheritance, spec), "firmware");
    KZ_CHECK(add_direct_boot(request, inheritance, spec));

    SpawnOptions options;
    KZ_TRY(options.argv, qemu::command_line(spec, info));
    options.fds = inheritance.map();
    const Path log_file = paths.log_dir() / (zone + ".qemu.log");
    KZ_TRY(const UniqueFd log, open_file(log_file, O_WRONLY | O_CREAT | O_APPEND, 0600));
    options.fds.push_back({log.get(), 1});
    options.fds.push_back({log.get(), 2});
    options.uid = uid;
    options.gid = uid;
    if (accel.group) options.groups.push_back(*accel.group);
    options.working_directory = folder;
    options.new_session = true;
    const std::optional<Cgroup> cgroup = machine_cgroup(paths, zone, uid);
    if (cgroup) options.cgroup = cgroup->folder();
    KZ_TRY(Process process, Process::spawn(options));
    std::unique_ptr<Machine> machine(new Machine(std::move(process), spec.machine, spec.layout, folder));
    machine->accel_ = accel.accel;
    for (Wire& wire : wiring.wires)
        machine->add_wire(std::move(wire));
    machine->taps_ = std::move(wiring.taps);
    machine->uid_ = uid;
    machine->cgroup_ = cgroup;
    if (zones_are_units(paths))
        KZ_CHECK(place_machine(zone, machine->process_.identity().pid, Deadline::after(kStartTime)));
    KZ_TRY(UniqueFd socket, unix_connect(qmp_socket(paths, zone), Deadline::after(kStartTime)));
    Result<std::unique_ptr<qemu::Qmp>> qmp =
        qemu::Qmp::attach(std::move(socket), Deadline::after(kStartTime), std::move(handlers));
    if (!qmp) {
        // It closes its sockets a moment before it has ended.
        if (machine->process_.wait(Deadline::after(kLastMoment)))
            return fail(Errc::io, "QEMU did not start{}", log_tail(log_file));
        return std::unexpected(std::move(qmp).error().context("QEMU"));
    }
    machine->qmp_ = std::move(*qmp);
    return machine;
}

Result<std::unique_ptr<Machine>> Machine::adopt(const std::string& zone, ProcessIdentity identity,
                                                const std::string& machine_type, unsigned layout,
                                                const HostPaths& paths, qemu::QmpHandlers handlers) {
    KZ_TRY(Process process, Process::adopt(identity));
    std::unique_ptr<Machine> machine(
        new Machine(std::move(process), machine_type, layout, paths.zone_run_dir(zone) / "qemu"));
    struct stat status{};
    if (::stat(machine->folder_.c_str(), &status) < 0) return fail_errno(errno, machine->folder_.string());
    machine->uid_ = status.st_uid;
    machine->cgroup_ = machine_cgroup(paths, zone, machine->uid_);
    KZ_TRY(UniqueFd socket, unix_connect(qmp_socket(paths, zone), Deadline::after(kStartTime)));
    KZ_TRY(machine->qmp_,
           qemu::Qmp::attach(std::move(socket), Deadline::after(kStartTime), std::move(handlers)));
    return machine;
}

Machine::~Machine() {
    end();
}

std::string Machine::qemu_version() const {
    const Json& version = qmp_->version();
    std::vector<std::string> numbers;
    for (const char* part : {"major", "minor", "micro"})
        numbers.push_back(std::to_string(json_u64(version, part).value_or(0)));
    return join(numbers, ".");
}

Result<UniqueFd> Machine::connect_console() const {
    return unix_connect(folder_.parent_path() / "hvc0.sock", Deadline::after(kStartTime));
}

Result<UniqueFd> Machine::connect_serial() const {
    return unix_connect(folder_.parent_path() / "ttyS0.sock", Deadline::after(kStartTime));
}

Result<UniqueFd> Machine::connect_port(std::string_view socket) const {
    if (layout_ < qemu::kLiveLayout) return UniqueFd();
    return unix_connect(folder_.parent_path() / socket, Deadline::after(kStartTime));
}

Result<UniqueFd> Machine::connect_agent() const {
    return connect_port(kAgentPort);
}

Result<UniqueFd> Machine::connect_qga() const {
    return connect_port(kQgaPort);
}

Result<void> Machine::give_to_machine(const Path& file) const {
    if (::lchown(file.c_str(), uid_, uid_) < 0) return fail_errno(errno, file.string());
    return {};
}

std::string Machine::end_reason() {
    const Result<std::string> reason = process_.wait(Deadline::after(kLastMoment));
    return reason ? *reason : reason.error().message();
}

void Machine::fence() const {
    if (Result<Process> process = Process::adopt(process_.identity())) fence_process(*process);
}

void Machine::announce(Log& log) {
    if (const Result<void> announced = announcer_.announce(*qmp_); !announced)
        log.error("announcing the zone's addresses: {}", announced.error().message());
}

void Machine::end() {
    if (qmp_ && process_.alive()) {
        // QEMU closes the connection instead of answering, as often as not.
        [[maybe_unused]] const auto quit =
            qmp_->execute("quit", nlohmann::json::object(), Deadline::after(kQuitTime));
        [[maybe_unused]] const auto ended = process_.wait(Deadline::after(kQuitTime));
    }
    if (process_.alive()) process_.kill_and_wait();
    if (cgroup_) cgroup_->remove();
}

}  // namespace kz::monitor
