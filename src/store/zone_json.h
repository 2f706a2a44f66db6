// A zone's state as JSON: what REST and `zoneadm list --json` tell. For src/rad and src/cli.
#pragma once

#include "base/json.h"
#include "store/status.h"

namespace kz::store {

Json describe_zone(const ZoneStatus& status);

}  // namespace kz::store
