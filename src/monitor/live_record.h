// The live configuration and the shape of a zone's machine, as they are recorded with its run: for the
// monitor, the monitor that takes its place, and zonecfg -r.
//
// In the runtime record's details: "configuration", what `zonecfg export` would print of the zone that runs,
// without its key, and "shape" (qemu/machine_shape.h). Runs of earlier versions have neither.
#pragma once

#include <optional>

#include "qemu/machine_shape.h"
#include "store/runtime.h"
#include "zone/config.h"

namespace kz::monitor {

void put_live_record(store::RuntimeRecord& runtime, const zone::Config& config,
                     const qemu::MachineShape& shape);

// `stored`: the zone's configuration on disk, whose key the live one has too, and which stands in for one
// that was not recorded.
Result<zone::Config> live_config(const store::RuntimeRecord& runtime, const zone::Config& stored);
// Nothing: it was not recorded.
Result<std::optional<qemu::MachineShape>> recorded_shape(const store::RuntimeRecord& runtime);

// A configuration of the same zone that was sent without its key.
Result<zone::Config> read_live_config(std::string_view text, const zone::Config& stored);

}  // namespace kz::monitor
