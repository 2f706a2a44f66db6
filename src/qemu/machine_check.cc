#include "qemu/machine_check.h"

#include <set>

namespace kz::qemu {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::size_t kMaxSerial = 20;
constexpr unsigned kMinMtu = 68;
constexpr unsigned kMaxMtu = 65535;

bool is_text(std::string_view text) {
    for (const unsigned char c : text) {
        if (c < 0x20 || c >= 0x7f) return false;
    }
    return true;
}

// Hexadecimal digits where `form` has an x, else the same characters.
bool has_form(std::string_view text, std::string_view form) {
    constexpr std::string_view kDigits = "0123456789abcdefABCDEF";
    if (text.size() != form.size()) return false;
    for (std::size_t i = 0; i < form.size(); ++i) {
        if (form[i] == 'x' ? kDigits.find(text[i]) == kDigits.npos : text[i] != form[i]) return false;
    }
    return true;
}

bool is_uuid(std::string_view text) {
    return has_form(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
}

bool is_mac(std::string_view text) {
    return has_form(text, "xx:xx:xx:xx:xx:xx");
}

Result<void> check_board(const MachineSpec& spec, const QemuInfo& qemu) {
    if (spec.name.empty() || !is_text(spec.name))
        return fail(Errc::invalid_argument, "machine without a name");
    if (!is_uuid(spec.uuid)) return fail(Errc::invalid_argument, "'{}' is not a UUID", spec.uuid);
    if (spec.cpus == 0 || spec.cpus > kMaxCpus)
        return fail(Errc::invalid_argument, "{} CPUs; 1 to {} are possible", spec.cpus, kMaxCpus);
    if (spec.layout == 0 || spec.layout > kNewestLayout)
        return fail(Errc::unsupported, "a machine of layout {}; up to {} are known", spec.layout,
                    kNewestLayout);
    if (spec.max_cpus > kMaxCpus || (spec.layout < kLiveLayout && spec.max_cpus > spec.cpus))
        return fail(Errc::invalid_argument, "room for {} CPUs is not possible", spec.max_cpus);
    if (spec.memory_bytes == 0 || spec.memory_bytes % kMiB != 0)
        return fail(Errc::invalid_argument, "memory must be a multiple of 1 MiB");
    if (spec.accel != "kvm" && spec.accel != "tcg")
        return fail(Errc::invalid_argument, "accel '{}' is not known", spec.accel);
    if (!spec.machine.empty() && !qemu.has_machine(spec.machine)) {
        return fail(Errc::unsupported, "QEMU {} has no machine type {}", qemu.version.text(), spec.machine);
    }
    if (!qemu.cpu_models.contains(spec.cpu_model))
        return fail(Errc::unsupported, "QEMU {} has no CPU model '{}'", qemu.version.text(), spec.cpu_model);
    if (spec.qmp_fd < 0) return fail(Errc::invalid_argument, "machine without a QMP socket");
    if (spec.kernel.empty() && !(spec.initrd.empty() && spec.append.empty()))
        return fail(Errc::invalid_argument, "initrd and arguments need a kernel");
    return {};
}

Result<void> check_disk(const DiskSpec& disk) {
    if (disk.index >= kMaxDisks)
        return fail(Errc::invalid_argument, "disk {}: the highest is {}", disk.index, kMaxDisks - 1);
    const bool remote = !std::holds_alternative<std::monostate>(disk.remote);
    if ((disk.fd < 0) != remote) return fail(Errc::invalid_argument, "disk {}: not open", disk.index);
    if (const auto* iscsi = std::get_if<IscsiDisk>(&disk.remote);
        iscsi != nullptr && (iscsi->chap_user.empty() != (iscsi->chap_password_fd < 0)))
        return fail(Errc::invalid_argument, "disk {}: a login needs a user and a password", disk.index);
    if (disk.guest_bytes == 0 || disk.guest_bytes % kSector != 0)
        return fail(Errc::invalid_argument, "disk {}: {} bytes is no size", disk.index, disk.guest_bytes);
    if (disk.serial.size() > kMaxSerial || !is_text(disk.serial))
        return fail(Errc::invalid_argument, "disk {}: bad serial number", disk.index);
    return {};
}

}  // namespace

Result<void> check_nic(const NicSpec& nic) {
    if (nic.index >= kMaxNics)
        return fail(Errc::invalid_argument, "net {}: the highest is {}", nic.index, kMaxNics - 1);
    if (!is_mac(nic.mac))
        return fail(Errc::invalid_argument, "net {}: '{}' is no address", nic.index, nic.mac);
    if (nic.mtu && (*nic.mtu < kMinMtu || *nic.mtu > kMaxMtu))
        return fail(Errc::invalid_argument, "net {}: MTU {} is not possible", nic.index, *nic.mtu);
    return {};
}

Result<void> check_machine(const MachineSpec& spec, const QemuInfo& qemu) {
    KZ_CHECK(check_board(spec, qemu));
    if (spec.disk_ports > kMaxDisks || spec.nic_ports > kMaxNics)
        return fail(Errc::invalid_argument, "more ports than there can be");
    std::set<unsigned> disks;
    std::set<unsigned> boot_indexes;
    for (const DiskSpec& disk : spec.disks) {
        KZ_CHECK(check_disk(disk));
        if (!disks.insert(disk.index).second ||
            (disk.boot_index && !boot_indexes.insert(*disk.boot_index).second))
            return fail(Errc::invalid_argument, "disk {}: twice", disk.index);
    }
    std::set<unsigned> nics;
    for (const NicSpec& nic : spec.nics) {
        KZ_CHECK(check_nic(nic));
        if (!nics.insert(nic.index).second) return fail(Errc::invalid_argument, "net {}: twice", nic.index);
    }
    return {};
}

}  // namespace kz::qemu
