// Discovery: which volumes a storage host offers, and by which names a volume is known. For suriadm.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/access.h"
#include "storage/suri.h"

namespace kz::storage {

// A logical unit; or, with `problem` set, a target or logical unit about which nothing could be learnt.
struct DiscoveredVolume {
    // Every name by which it can be used from here: lunames first, then target and LUN, one of each target
    // that shows it. What a problem is about has at most the latter.
    std::vector<Suri> suris;
    std::uint64_t size_bytes = 0;
    std::uint32_t block_bytes = 0;
    // As it describes itself, without trailing blanks and with '?' for what is not printable ASCII; any of
    // them may be empty.
    std::string vendor;
    std::string product;
    std::string serial;
    // The first of its names, "naa.6001405...", "eui...." or "t10....". A t10 name is none for a SURI. Empty:
    // it tells none.
    std::string name;
    std::string target;   // "iqn....", the first that shows it
    std::string problem;  // one sentence for the administrator; empty: none
};

// Every logical unit that is a disk, behind every target that the portal lists. `portal`: "host[:port]", or a
// SURI's beginning, "iscsi://host[:port][/...]"; IPv6 in brackets; without a host, the portals of the file
// StorageAccess::iscsi_portals. A target that refuses this host, and a logical unit that gives no answers,
// is listed with the problem. Errors: Errc::invalid_argument for a malformed portal, Errc::unavailable or
// Errc::timeout when no portal answers, Errc::not_found when the portals file is needed and missing.
Result<std::vector<DiscoveredVolume>> discover_iscsi(std::string_view portal, const StorageAccess& access);

// All SURIs of the one LUN that `suri` names, the one given included, in the order of
// DiscoveredVolume::suris. Errors: as of open_volume(); Errc::invalid_argument when it is not of type iscsi.
Result<std::vector<Suri>> names_of(const Suri& suri, const StorageAccess& access);

}  // namespace kz::storage
