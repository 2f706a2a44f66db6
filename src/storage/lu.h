// Local LUNs: disks that this host shows under /dev, found by the names that they have on every host. For
// storage/volume.cc and suriadm.
//
// A disk's names are those of sysfs (the INQUIRY page 0x83 of a SCSI disk, the wwid of an NVMe namespace, the
// uuid of a multipath device) and of the links in /dev/disk/by-id. Only whole disks have any.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/suri.h"

namespace kz::storage {

// Where to look; other folders for tests.
struct LuPlaces {
    std::filesystem::path sys = "/sys";
    std::filesystem::path dev = "/dev";
};

// One way to a LUN: the ports at its ends, "naa....".
struct LuPath {
    std::string initiator;
    std::string target;
    bool operator==(const LuPath&) const = default;
};

struct LocalDisk {
    std::filesystem::path node;        // /dev/sdb
    std::vector<std::string> lunames;  // "naa....", "eui....", in lower case; may be empty
    std::vector<LuPath> paths;         // those of which both ports are known
    // Of a multipath device: the disks that are its paths.
    std::vector<std::filesystem::path> members;
    bool multipath = false;
};

// Every whole disk, multipath devices first, then by name. Errors: of reading the folder of block devices.
Result<std::vector<LocalDisk>> local_disks(const LuPlaces& places = {});

// The one disk that a SURI of type lu names; the multipath device where there is one. Errors:
// Errc::not_found; Errc::wrong_state when several disks have the name.
Result<LocalDisk> find_lu(const Suri& suri, const LuPlaces& places = {});

// What the device at `node` (links are followed) is. Errors: Errc::not_found when it does not exist,
// Errc::invalid_argument when it is no whole disk.
Result<LocalDisk> disk_at(const std::filesystem::path& node, const LuPlaces& places = {});

// Every lu: SURI that names it: those of the luname alone first, then those with known ports.
std::vector<Suri> lu_suris(const LocalDisk& disk);

}  // namespace kz::storage
