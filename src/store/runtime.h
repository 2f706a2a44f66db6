// RuntimeRecord: what is true of a zone only while it is ready or running: run/zones/NAME/runtime.json.
// Written by the zone's monitor, read by everybody.
//
// Theory of operation: a JSON object {"format": 1, "zone_id", "state", "aux", "monitor", "qemu",
// "machine_type", "qemu_version", "started", "details"}; a process is {"pid", "start_time"}, or missing. The
// file may outlive what it describes (a crash, a boot of the host): it counts only while one of its two
// processes lives.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "os/paths.h"
#include "os/process.h"
#include "zone/state.h"

namespace kz::store {

struct RuntimeRecord {
    int zone_id = 0;                         // 1 and up
    zone::State state = zone::State::ready;  // ready, running or shutting_down
    zone::AuxSet aux;
    std::optional<ProcessIdentity> monitor;
    std::optional<ProcessIdentity> qemu;
    std::string machine_type;  // versioned: "pc-q35-7.2"
    std::string qemu_version;
    std::string started;  // as utc_timestamp() prints
    Json details = Json::object();
};

// Whether the process still runs.
bool is_alive(const std::optional<ProcessIdentity>& process);

// Errors: Errc::not_found when there is none, Errc::corrupt.
Result<RuntimeRecord> load_runtime(const HostPaths& paths, std::string_view zone);
// Atomic. Makes the zone's run folder.
Result<void> save_runtime(const HostPaths& paths, std::string_view zone, const RuntimeRecord& record);
Result<void> remove_runtime(const HostPaths& paths, std::string_view zone);

// 1 and up, each number once until the host boots again.
Result<int> next_zone_id(const HostPaths& paths);

}  // namespace kz::store
