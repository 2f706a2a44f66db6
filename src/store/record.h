// ZoneRecord: what a host remembers of a zone besides its configuration: var/lib/zones/NAME/state.json. For
// store.
//
// Theory of operation: a JSON object {"format": 1, "uuid", "state", "aux", "reason", "import", ...}; state
// and aux are the names of zone/state.h; import {migration_id, pid, start_time} is mostly missing. Keys not
// known here are kept when the record is rewritten. A missing file is a zone that is configured and nothing
// more.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "os/process.h"
#include "zone/state.h"

namespace kz::store {

// The zone's configuration came with a migration that has not made the zone this host's yet. When the process
// that is receiving it has ended without either, the zone is removed again.
struct ImportMark {
    std::string migration_id;
    ProcessIdentity receiver;
    bool operator==(const ImportMark&) const = default;
};

struct ZoneRecord {
    std::string uuid;  // empty until the zone is installed or attached for the first time
    // What outlives a boot of the host: configured, incomplete, installed or unavailable.
    zone::State state = zone::State::configured;
    // suspended or no_config.
    zone::AuxSet aux;
    // Why the zone is unavailable, in sentences for the administrator.
    std::string reason;
    // Only of a zone that is configured: rendering a record with another state leaves it out.
    std::optional<ImportMark> import{};
    Json other = Json::object();
    bool operator==(const ZoneRecord&) const = default;
};

// Errors: Errc::corrupt, Errc::unsupported when written by a later version.
Result<ZoneRecord> parse_zone_record(std::string_view text);
std::string render_zone_record(const ZoneRecord& record);

}  // namespace kz::store
