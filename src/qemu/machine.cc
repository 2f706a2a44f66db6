#include "qemu/machine.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "qemu/devices.h"
#include "qemu/machine_check.h"

namespace kz::qemu {
namespace {

using nlohmann::json;

// Slots of the root bus; see the header.
constexpr unsigned kSerialSlot = 0x02;
constexpr unsigned kRngSlot = 0x03;
constexpr unsigned kPanicSlot = 0x04;
constexpr unsigned kBalloonSlot = 0x05;
constexpr unsigned kWatchdogSlot = 0x06;
constexpr unsigned kDiskPortSlot = 0x10;
constexpr unsigned kNicPortSlot = 0x18;
constexpr unsigned kFunctions = 8;  // of a PCI slot
// Numbers of the ports to the guest, unique over all.
constexpr unsigned kFirstDiskChassis = 1;
constexpr unsigned kFirstNicChassis = 64;

// Collects argv. Devices go in as JSON, where no value needs quoting.
class Arguments {
  public:
    void add(std::string option, std::string value) {
        argv_.push_back(std::move(option));
        argv_.push_back(std::move(value));
    }
    void flag(std::string option) { argv_.push_back(std::move(option)); }
    void device(const json& properties) { add("-device", properties.dump()); }
    std::vector<std::string> take() { return std::move(argv_); }

  private:
    std::vector<std::string> argv_;
};

std::string slot(unsigned number, unsigned function = 0) {
    return function == 0 ? fmt::format("{:02x}", number) : fmt::format("{:02x}.{}", number, function);
}

// QEMU's own quoting in key=value lists.
std::string escape_commas(std::string_view value) {
    std::string result;
    for (const char c : value) {
        result += c;
        if (c == ',') result += c;
    }
    return result;
}

void add_process(const MachineSpec& spec, Arguments& out) {
    out.add("-name", fmt::format("guest={},debug-threads=on", escape_commas(spec.name)));
    out.flag("-nodefaults");
    out.flag("-no-user-config");
    out.add("-display", "none");
    out.add("-msg", "timestamp=on");
    if (spec.sandbox) {
        out.add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    }
    // A watchdog that barks is reported by its event alone.
    out.add("-action", "reboot=reset,shutdown=pause,panic=pause,watchdog=none");
    out.flag("-S");
    if (spec.incoming) out.add("-incoming", "defer");
}

void add_board(const MachineSpec& spec, const QemuInfo& qemu, Arguments& out) {
    const std::string& machine = spec.machine.empty() ? qemu.newest_q35() : spec.machine;
    // What no zone uses is left off: less for a guest to attack, less to carry over. graphics=off sends the
    // firmware's messages to ttyS0.
    out.add("-machine", machine + ",hpet=off,usb=off,vmport=off,sata=off,graphics=off");
    out.add("-accel", spec.accel);
    out.add("-cpu", spec.cpu_model);
    const unsigned most = std::max(spec.cpus, spec.max_cpus);
    out.add("-smp", fmt::format("cpus={0},sockets=1,cores={1},threads=1,maxcpus={1}", spec.cpus, most));
    out.add("-m", fmt::format("size={}K", machine_ram_bytes(spec.memory_bytes, spec.accel) >> 10));
    out.add("-uuid", spec.uuid);
    out.add("-rtc", "base=utc,clock=host");
    // A guest that sleeps would look like one that hangs: nothing on the host wakes it.
    out.add("-global", "ICH9-LPC.disable_s3=1");
    out.add("-global", "ICH9-LPC.disable_s4=1");
    out.add("-boot", "strict=on");
}

void add_boot(const MachineSpec& spec, Arguments& out) {
    if (!spec.firmware.empty()) out.add("-bios", spec.firmware);
    if (spec.kernel.empty()) return;
    out.add("-kernel", spec.kernel);
    if (!spec.initrd.empty()) out.add("-initrd", spec.initrd);
    if (!spec.append.empty()) out.add("-append", spec.append);
}

void add_listener(std::string_view id, int fd, Arguments& out) {
    // A console that nobody listens to is still there for the guest.
    out.add("-chardev", fd < 0 ? fmt::format("null,id={}", id)
                               : fmt::format("socket,id={},fd={},server=on,wait=off", id, fd));
}

void add_agent_ports(const MachineSpec& spec, Arguments& out) {
    if (spec.layout < kLiveLayout) return;
    const auto add = [&](std::string_view id, std::string_view name, unsigned number, int fd) {
        add_listener(id, fd, out);
        out.device({{"driver", "virtserialport"},
                    {"id", fmt::format("{}0", id)},
                    {"bus", "vserial0.0"},
                    {"nr", number},
                    {"name", name},
                    {"chardev", id}});
    };
    add("agent", "org.kzones.agent.0", 1, spec.agent_fd);
    add("qga", "org.qemu.guest_agent.0", 2, spec.qga_fd);
}

void add_fixed_devices(const MachineSpec& spec, Arguments& out) {
    add_listener("qmp", spec.qmp_fd, out);
    out.add("-mon", "chardev=qmp,mode=control");
    add_listener("serial", spec.serial_fd, out);
    out.device({{"driver", "isa-serial"}, {"id", "serial0"}, {"chardev", "serial"}, {"index", 0}});
    add_listener("console", spec.console_fd, out);
    out.device({{"driver", "virtio-serial-pci"},
                {"id", "vserial0"},
                {"bus", "pcie.0"},
                {"addr", slot(kSerialSlot)}});
    out.device({{"driver", "virtconsole"},
                {"id", "console0"},
                {"bus", "vserial0.0"},
                {"nr", 0},
                {"chardev", "console"}});
    add_agent_ports(spec, out);
    out.add("-object", json({{"qom-type", "rng-builtin"}, {"id", "rng"}}).dump());
    out.device({{"driver", "virtio-rng-pci"},
                {"id", "rng0"},
                {"rng", "rng"},
                {"bus", "pcie.0"},
                {"addr", slot(kRngSlot)}});
    out.device({{"driver", "pvpanic-pci"}, {"id", "panic0"}, {"bus", "pcie.0"}, {"addr", slot(kPanicSlot)}});
}

struct PortGroup {
    std::string (*id)(unsigned index);
    unsigned slot;
    unsigned chassis;
};
constexpr PortGroup kDiskPorts{disk_port_id, kDiskPortSlot, kFirstDiskChassis};
constexpr PortGroup kNicPorts{nic_port_id, kNicPortSlot, kFirstNicChassis};

void add_ports(const PortGroup& group, unsigned count, Arguments& out) {
    for (unsigned i = 0; i < count; ++i) {
        out.device({{"driver", "pcie-root-port"},
                    {"id", group.id(i)},
                    {"bus", "pcie.0"},
                    {"addr", slot(group.slot + i / kFunctions, i % kFunctions)},
                    {"multifunction", i % kFunctions == 0},
                    {"chassis", group.chassis + i},
                    {"port", i},
                    // Virtio needs no port I/O, of which sixteen ports would use up all there is.
                    {"io-reserve", 0}});
    }
}

template <typename Specs>
unsigned ports_needed(const Specs& specs, unsigned at_least) {
    for (const auto& each : specs)
        at_least = std::max(at_least, each.index + 1);
    return at_least;
}

// The guest sees a raw node of the size told, on the whole file or device: what lies behind is ours.
void add_disk(const DiskSpec& disk, Arguments& out) {
    if (const auto* iscsi = std::get_if<IscsiDisk>(&disk.remote);
        iscsi != nullptr && iscsi->chap_password_fd >= 0)
        out.add("-object", json({{"qom-type", "secret"},
                                 {"id", chap_secret_id(disk.index)},
                                 {"format", "raw"},
                                 {"file", inherited_path(iscsi->chap_password_fd)}})
                               .dump());
    if (disk.fd >= 0)
        out.add("-add-fd",
                fmt::format("fd={},set={},opaque={}", disk.fd, disk_fdset(disk.index), disk_id(disk.index)));
    const DiskParts parts = disk_parts(disk);
    out.add("-blockdev", parts.protocol.dump());
    out.add("-blockdev", parts.format.dump());
    out.device(parts.device);
}

void add_nic(const NicSpec& nic, Arguments& out) {
    const std::string backend = nic_backend_id(nic.index);
    out.add("-netdev", nic.tap_fd < 0 ? fmt::format("user,id={}", backend)
                                      : fmt::format("tap,id={},fd={},vhost=off", backend, nic.tap_fd));
    out.device(nic_device(nic));
}

void add_balloon_and_watchdog(const MachineSpec& spec, Arguments& out) {
    if (spec.layout < kLiveLayout) return;
    out.device({{"driver", "virtio-balloon-pci"},
                {"id", "balloon0"},
                {"bus", "pcie.0"},
                {"addr", slot(kBalloonSlot)},
                // What the guest has freed takes no memory here, and is not moved.
                {"free-page-reporting", true}});
    out.device(
        {{"driver", "i6300esb"}, {"id", "watchdog0"}, {"bus", "pcie.0"}, {"addr", slot(kWatchdogSlot)}});
}

}  // namespace

std::string inherited_path(int fd) {
    return fmt::format("/proc/self/fd/{}", fd);
}

// QEMU before 9.0 loses changes of memory under TCG while it migrates: where a RAM block is a multiple of 64
// pages, the fast way of reading its dirty bitmap clears bits without telling the processors' TLBs, so that
// later stores are not seen (mended by "physmem: Fix migration dirty bitmap coherency with TCG memory
// access"). Other sizes take the slow way, which is right. Whatever the version, so that hosts of different
// versions make the same machine: ADR 0005.
std::uint64_t machine_ram_bytes(std::uint64_t memory_bytes, std::string_view accel) {
    constexpr std::uint64_t kLeftOut = 8 << 10;
    return accel == "tcg" ? memory_bytes - kLeftOut : memory_bytes;
}

Result<std::string> cpu_model_for(std::string_view cpu_arch, std::string_view accel) {
    if (cpu_arch == "host") return std::string(accel == "kvm" ? "host" : "max");
    constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kModels{{
        {"", "Nehalem"},
        {"generic", "qemu64"},
        {"migration-class1", "Nehalem"},
        {"migration-class2", "Haswell-noTSX"},
        {"migration-class3", "Skylake-Server-noTSX-IBRS"},
    }};
    for (const auto& [name, model] : kModels) {
        if (name == cpu_arch) return std::string(model);
    }
    return fail(Errc::invalid_argument, "cpu-arch '{}' is not known", cpu_arch);
}

Result<std::vector<std::string>> command_line(const MachineSpec& spec, const QemuInfo& qemu) {
    KZ_CHECK(check_machine(spec, qemu));
    Arguments out;
    out.flag(qemu.binary.string());
    add_process(spec, out);
    add_board(spec, qemu, out);
    add_boot(spec, out);
    add_fixed_devices(spec, out);
    add_balloon_and_watchdog(spec, out);
    add_ports(kDiskPorts, ports_needed(spec.disks, spec.disk_ports), out);
    add_ports(kNicPorts, ports_needed(spec.nics, spec.nic_ports), out);
    for (const DiskSpec& disk : spec.disks)
        add_disk(disk, out);
    for (const NicSpec& nic : spec.nics)
        add_nic(nic, out);
    return out.take();
}

}  // namespace kz::qemu
