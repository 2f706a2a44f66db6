// The configuration as text: what `zonecfg export` prints and etc/zones/NAME.cfg holds. For store and
// zonecfg.
//
// Always begins with "create -b"; globals in the order of the schema (zonename is left out: the file's name
// or the -z option says it), then each resource as add ... end, grouped by type in the order of the schema.
// Reading it is zonecfg/parse_export.h.
#pragma once

#include <string>

#include "zone/config.h"

namespace kz::zone {

// Without secrets the resources that hold nothing else (keysource) are left out.
std::string export_text(const Config& config, bool with_secrets);

}  // namespace kz::zone
