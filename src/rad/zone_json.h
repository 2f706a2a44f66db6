// A zone's state as REST tells it. For src/rad.
#pragma once

#include "base/json.h"
#include "store/status.h"

namespace kz::rad {

Json describe_zone(const store::ZoneStatus& status);

}  // namespace kz::rad
