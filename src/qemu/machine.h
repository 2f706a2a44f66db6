// Machine: the command line of a zone's QEMU. For the monitor.
//
// QEMU runs as an unprivileged user in a seccomp sandbox, opens nothing by name but its own firmware, and
// creates no file: sockets, local disks and taps are descriptors that it inherits, whose numbers in the child
// the spec tells. Disks on iSCSI and NFS it reaches over the network by its own clients.
//
// What the monitor may rely on:
// - It starts stopped (-S): the monitor says `cont`. With `incoming` it waits for migrate-incoming, and stays
//   stopped after the last page.
// - A guest that powers off leaves QEMU running in the state "shutdown" after the event SHUTDOWN; a guest
// that
//   panics leaves it in "guest-panicked" after GUEST_PANICKED. So a monitor that was away finds out by
//   query-status, and a QEMU that ends unasked has always crashed. The monitor ends it with `quit`.
// - A reset inside the guest keeps QEMU (event RESET, reason guest-reset) and starts the firmware again.
// - A device's id, PCI address and place in the migration stream depend on the disk's or nic's index only,
// never
//   on which others there are. Each has a port of its own; see MachineSpec::disk_ports.
//
// Ports of the virtio-serial device: 0 console (hvc0), 1 org.kzones.agent.0 (device agent0), 2
// org.qemu.guest_agent.0 (device qga0).
//
// Layout of the root bus pcie.0: 02.0 virtio-serial, 03.0 rng, 04.0 pvpanic, 05.0 balloon, 06.0 watchdog,
// 10.0-13.7 the ports of disks 0 to 31, 18.0-19.7 the ports of nics 0 to 15.
//
// Layouts. What the machine of a zone that runs or is suspended looks like never changes; what newer versions
// add is another layout (kNewestLayout), with its number recorded beside the zone (qemu/machine_shape.h):
//   1  no agent ports, no balloon, no watchdog, no room for processors that are added later
//   2  agent ports, balloon with free-page reporting, i6300esb watchdog, room for processors (max_cpus)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "qemu/probe.h"

namespace kz::qemu {

inline constexpr unsigned kMaxDisks = 32;
inline constexpr unsigned kMaxNics = 16;
inline constexpr unsigned kMaxCpus = 255;
// What zones that boot get; see above.
inline constexpr unsigned kNewestLayout = 2;
// The first that has agent ports and can be changed while it runs.
inline constexpr unsigned kLiveLayout = 2;

// A disk that QEMU reaches by its own initiator.
struct IscsiDisk {
    std::string portal;  // "192.0.2.7:3260", IPv6 in brackets
    std::string target;
    unsigned lun = 0;
    std::string initiator_name;
    std::string chap_user;      // empty: no login
    int chap_password_fd = -1;  // in the child: a memfd that holds the password and nothing else
};

// A file that QEMU reaches by its own NFS client.
struct NfsDisk {
    std::string host;
    std::string path;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};

struct DiskSpec {
    unsigned index = 0;  // device id "disk<index>", node "disk<index>", below kMaxDisks
    // Where it is: a descriptor, or one of the others.
    int fd = -1;                // in the child, open for reading and writing (read_only: for reading)
    bool block_device = false;  // the descriptor is a block device, not a file
    std::variant<std::monostate, IscsiDisk, NfsDisk> remote{};
    std::uint64_t guest_bytes = 0;  // what the guest sees; a multiple of 512
    std::optional<unsigned> boot_index;
    // As many as the guest may have processors, whatever it has now: their number is in the device's state.
    unsigned queues = 0;     // 0: as QEMU likes, which goes by the processors at boot (layout 1)
    std::string serial;      // at most 20 characters; empty: none
    bool direct_io = false;  // O_DIRECT; the descriptor must have been opened so
    bool discard = true;     // the guest's discards free space
    bool read_only = false;
};

struct NicSpec {
    unsigned index = 0;  // device id "net<index>", below kMaxNics
    std::string mac;     // "02:08:20:aa:bb:cc"
    int tap_fd = -1;     // in the child; -1: QEMU's user-mode network
    std::optional<unsigned> mtu;
};

struct MachineSpec {
    std::string name;
    std::string uuid;
    std::string machine;  // versioned: "pc-q35-7.2"; empty: the newest that QEMU has
    std::string accel = "tcg";
    std::string cpu_model;  // of cpu_model_for()
    unsigned layout = kNewestLayout;
    unsigned cpus = 1;
    unsigned max_cpus = 0;           // with those that may be added while it runs; fewer than cpus: none
    std::uint64_t memory_bytes = 0;  // a multiple of 1 MiB

    std::vector<DiskSpec> disks;
    std::vector<NicSpec> nics;
    // How many ports there are at least, so that disks and nics can be added to the running machine. Both
    // sides of a migration must have the same. Each makes a guest under TCG boot about 30 ms later.
    unsigned disk_ports = 4;
    unsigned nic_ports = 2;

    // Direct boot; kernel empty: from the disks. A path that QEMU's user may read: a world-readable file, or
    // inherited_path() of a descriptor that holds it (a memfd may be opened again by anybody who has it).
    std::string kernel;
    std::string initrd;
    std::string append;

    std::string firmware;  // the same for the image of a UEFI firmware; empty: BIOS

    bool incoming = false;

    // Listening unix sockets, in the child; all but qmp may be left out with -1: console (hvc0), serial
    // (ttyS0), the ports of kz-agent and of QEMU's guest agent. Each serves one client at a time and takes
    // the next when it has closed.
    int qmp_fd = -1;
    int console_fd = -1;
    int serial_fd = -1;
    int agent_fd = -1;
    int qga_fd = -1;

    bool sandbox = true;
};

// The device of a nic, and of what is recorded of it: "net0".
std::string nic_id(unsigned index);

// "/proc/self/fd/7"
std::string inherited_path(int fd);

// What the guest of a machine with that much memory really has, in bytes (ADR 0005).
std::uint64_t machine_ram_bytes(std::uint64_t memory_bytes, std::string_view accel);

// QEMU's name for the zone's property cpu-arch: generic, migration-class1 (also when empty),
// migration-class2, migration-class3, host. Errc::invalid_argument for others.
Result<std::string> cpu_model_for(std::string_view cpu_arch, std::string_view accel);

// argv of the machine's QEMU, argv[0] the binary's path. Errors: Errc::invalid_argument when the spec
// contradicts itself or the limits above, Errc::unsupported when this QEMU has not the machine type or CPU
// model.
Result<std::vector<std::string>> command_line(const MachineSpec& spec, const QemuInfo& qemu);

}  // namespace kz::qemu
