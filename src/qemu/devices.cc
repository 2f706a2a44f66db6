#include "qemu/devices.h"

namespace kz::qemu {
namespace {

using nlohmann::json;

constexpr const char* kOnlySlot = "00";  // of a root port

json iscsi_options(const IscsiDisk& disk, unsigned index) {
    json options = {{"driver", "iscsi"},     {"transport", "tcp"}, {"portal", disk.portal},
                    {"target", disk.target}, {"lun", disk.lun},    {"initiator-name", disk.initiator_name}};
    if (!disk.chap_user.empty()) {
        options["user"] = disk.chap_user;
        options["password-secret"] = chap_secret_id(index);
    }
    return options;
}

json nfs_options(const NfsDisk& disk) {
    return {{"driver", "nfs"},
            {"server", {{"type", "inet"}, {"host", disk.host}}},
            {"path", disk.path},
            {"user", disk.uid},
            {"group", disk.gid}};
}

// The options of QEMU's driver for the place where the disk is.
json place_options(const DiskSpec& disk) {
    if (const auto* iscsi = std::get_if<IscsiDisk>(&disk.remote)) return iscsi_options(*iscsi, disk.index);
    if (const auto* nfs = std::get_if<NfsDisk>(&disk.remote)) return nfs_options(*nfs);
    return {{"driver", disk.block_device ? "host_device" : "file"},
            {"filename", fmt::format("/dev/fdset/{}", disk_fdset(disk.index))}};
}

json device_of(const DiskSpec& disk) {
    json device = {{"driver", "virtio-blk-pci"},
                   {"id", disk_id(disk.index)},
                   {"drive", disk_id(disk.index)},
                   {"bus", disk_port_id(disk.index)},
                   {"addr", kOnlySlot}};
    if (disk.boot_index) device["bootindex"] = *disk.boot_index;
    if (disk.queues != 0) device["num-queues"] = disk.queues;
    if (!disk.serial.empty()) device["serial"] = disk.serial;
    // Storage that is out of reach stops the guest until it is back, instead of breaking its file systems.
    if (!std::holds_alternative<std::monostate>(disk.remote)) {
        device["werror"] = "stop";
        device["rerror"] = "stop";
    }
    return device;
}

}  // namespace

std::string disk_id(unsigned index) {
    return fmt::format("disk{}", index);
}

std::string disk_file_id(unsigned index) {
    return disk_id(index) + "-file";
}

std::string chap_secret_id(unsigned index) {
    return disk_id(index) + "-chap";
}

unsigned disk_fdset(unsigned index) {
    return index + 1;
}

std::string disk_port_id(unsigned index) {
    return fmt::format("diskport{}", index);
}

std::string nic_id(unsigned index) {
    return fmt::format("net{}", index);
}

std::string nic_backend_id(unsigned index) {
    return fmt::format("hostnet{}", index);
}

std::string nic_port_id(unsigned index) {
    return fmt::format("netport{}", index);
}

DiskParts disk_parts(const DiskSpec& disk) {
    const json shared = {{"read-only", disk.read_only},
                         {"discard", disk.discard ? "unmap" : "ignore"},
                         {"cache", {{"direct", disk.direct_io}, {"no-flush", false}}}};
    json protocol = place_options(disk);
    protocol["node-name"] = disk_file_id(disk.index);
    protocol.update(shared);
    json format = {{"driver", "raw"},
                   {"node-name", disk_id(disk.index)},
                   {"file", disk_file_id(disk.index)},
                   {"offset", 0},
                   {"size", disk.guest_bytes}};
    format.update(shared);
    return {std::move(protocol), std::move(format), device_of(disk)};
}

json nic_device(const NicSpec& nic) {
    json device = {{"driver", "virtio-net-pci"},
                   {"id", nic_id(nic.index)},
                   {"netdev", nic_backend_id(nic.index)},
                   {"mac", nic.mac},
                   {"bus", nic_port_id(nic.index)},
                   {"addr", kOnlySlot},
                   // No boot from the network: the ROM's size would be one more thing that must be the same
                   // on both sides of a migration.
                   {"romfile", ""}};
    if (nic.mtu) device["host_mtu"] = *nic.mtu;
    return device;
}

}  // namespace kz::qemu
