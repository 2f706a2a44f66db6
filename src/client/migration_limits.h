// What can be changed about a live migration while it runs. For src/cli and src/rad.
#pragma once

#include <string>

#include "base/result.h"
#include "os/paths.h"

namespace kz::client {

// The bytes per second that all its connections send together; 0: no limit. It counts at once. Errors:
// Errc::wrong_state when no live migration of the zone away from this host is under way.
Result<void> limit_migration(const HostPaths& paths, const std::string& zone, std::uint64_t bandwidth_bytes);

}  // namespace kz::client
