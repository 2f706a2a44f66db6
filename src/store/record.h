// ZoneRecord: what a host remembers of a zone besides its configuration: var/lib/zones/NAME/state.json. For
// store.
//
// Theory of operation: a JSON object {"format": 1, "uuid", "state", "aux", "reason", ...}; state and aux are
// the names of zone/state.h. Keys not known here are kept when the record is rewritten. A missing file is a
// zone that is configured and nothing more.
#pragma once

#include <string>

#include "base/json.h"
#include "zone/state.h"

namespace kz::store {

struct ZoneRecord {
    std::string uuid;  // empty until the zone is installed or attached for the first time
    // What outlives a boot of the host: configured, incomplete, installed or unavailable.
    zone::State state = zone::State::configured;
    // suspended or no_config.
    zone::AuxSet aux;
    // Why the zone is unavailable, in sentences for the administrator.
    std::string reason;
    Json other = Json::object();
    bool operator==(const ZoneRecord&) const = default;
};

// Errors: Errc::corrupt, Errc::unsupported when written by a later version.
Result<ZoneRecord> parse_zone_record(std::string_view text);
std::string render_zone_record(const ZoneRecord& record);

}  // namespace kz::store
