// Journal: what was done to zones on this host (migrations, suspends, resumes), one JSON object a line, in
// var/log/zones/journal.jsonl. For the monitor and the client API; shown by zoneadm history.
#pragma once

#include <string_view>
#include <vector>

#include "base/json.h"
#include "os/paths.h"

namespace kz::store {

// Adds {"when", "zone", "move", ...} to the journal; the line is written with one append. Errors are those of
// files: callers log them, since what was done stays done.
Result<void> append_journal(const HostPaths& paths, std::string_view zone, std::string_view move, Json facts);

// The zone's entries, oldest first; at most the last 1000. Lines that cannot be read are left out.
Result<std::vector<Json>> read_journal(const HostPaths& paths, std::string_view zone);

}  // namespace kz::store
