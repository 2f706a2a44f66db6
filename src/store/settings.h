// Settings: what an administrator may tune on this host, from etc/zones/settings. For every floor above
// store.
//
// The file is optional; a line is `name = value`, empty, or a comment (# to its end). Durations are whole
// numbers with a unit: 200ms, 5s, 2min. Names:
//
//   lease.renew       5s    how often the monitor of a running zone renews its heartbeat on the disk
//   lease.pause       20s   a guest whose heartbeat could not be renewed for so long is paused
//   lease.fence       30s   ... and its machine ended
//   lease.takeover    40s   how long attach -x force-takeover watches the disk at least
//   lease.claim-wait  2s    how long attach waits to see whether its claim of a disk stood
//   lease.claim-fresh 1s    a claim that took longer to write than this is watched for lease.takeover instead
//   storage.timeout   10s   the longest that one operation on network storage may take; below lease.pause, so
//                           that one that fails can be tried again in time
//   post-copy.wait    30min a zone whose memory is still on the host it came from, which cannot be reached:
//   after so
//                           long that memory is given up, and the zone halted
//
// Hosts that share storage should agree on lease.*: an owner's own timings are in its host data, but a
// claim's are not.
#pragma once

#include <chrono>
#include <string_view>

#include "os/paths.h"
#include "storage/lease_timings.h"

namespace kz::store {

struct Settings {
    storage::LeaseTimings lease{};
    storage::Milliseconds storage_timeout{10'000};
    storage::Milliseconds post_copy_wait{1'800'000};
    bool operator==(const Settings&) const = default;
};

// `name` is put in front of errors. Errors: Errc::invalid_argument, naming the line of an unknown or repeated
// name or a bad value, or the two settings that contradict each other.
Result<Settings> parse_settings(std::string_view text, std::string_view name);

// Of this host; the defaults when it has no such file. Errors: those of parse_settings and of reading.
Result<Settings> load_settings(const HostPaths& paths);

}  // namespace kz::store
