// The time zones that this host knows. For the command that asks for one, and for installers that copy one.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "os/paths.h"

namespace kz::install {

inline constexpr const char* kZoneInfo = "/usr/share/zoneinfo";

// The compiled zone (TZif) called `name`; empty for UTC on a host without a database: a zone that has no such
// file keeps UTC. Errors: Errc::invalid_argument for what is no name, Errc::not_found for one that this host
// does not have.
Result<std::string> read_time_zone(const std::string& name, const Path& zone_info = kZoneInfo);

// What a user chooses from: "Europe/Berlin"... of zone.tab, sorted, and UTC. Errors: Errc::not_found names
// the package.
Result<std::vector<std::string>> list_time_zones(const Path& zone_info = kZoneInfo);

}  // namespace kz::install
