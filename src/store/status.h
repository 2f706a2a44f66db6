// ZoneStatus: the state of a zone as `zoneadm list` shows it, merged from its record and what runs. For every
// floor above store.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/guest_report.h"
#include "store/registry.h"
#include "store/runtime.h"
#include "zone/state.h"

namespace kz::store {

struct ZoneStatus {
    std::string name;
    std::optional<int> id;  // only while ready, running or shutting down
    zone::State state = zone::State::configured;
    zone::AuxSet aux;
    std::string uuid;
    std::string brand;
    std::string reason;  // why it is unavailable
    bool has_monitor = false;
    bool has_machine = false;
    std::optional<GuestReport> guest;  // while it runs and an agent answers
};

// Takes no lock. A zone whose monitor and machine are both dead shows the state of its record. Errors:
// Errc::not_found "No such zone configured"; Errc::corrupt.
Result<ZoneStatus> status_of(const Registry& registry, std::string_view name);

// All zones, by name. A zone whose files cannot be read is listed as unavailable, with the reason: one
// damaged file must not hide the others.
Result<std::vector<ZoneStatus>> list_statuses(const Registry& registry);

}  // namespace kz::store
