// What a disk and a nic of a zone's machine are to QEMU: the same on the command line and when they are added
// while the machine runs. Inside qemu only.
//
// QEMU's names: of disk N the device and the node "diskN", the node below "diskN-file", the secret of its
// login "diskN-chap", the set of descriptors N + 1; of nic N the device "netN" and its backend "hostnetN".
// Each sits alone in a root port of its own, "diskportN" or "netportN".
#pragma once

#include <nlohmann/json.hpp>

#include "qemu/machine.h"

namespace kz::qemu {

std::string disk_id(unsigned index);
std::string disk_file_id(unsigned index);
std::string chap_secret_id(unsigned index);
unsigned disk_fdset(unsigned index);
std::string disk_port_id(unsigned index);
std::string nic_backend_id(unsigned index);
std::string nic_port_id(unsigned index);

struct DiskParts {
    nlohmann::json protocol;  // the place where it is, by one of QEMU's drivers
    nlohmann::json format;    // what the guest sees of that: the first guest_bytes
    nlohmann::json device;
};
DiskParts disk_parts(const DiskSpec& disk);

nlohmann::json nic_device(const NicSpec& nic);

}  // namespace kz::qemu
