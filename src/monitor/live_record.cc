#include "monitor/live_record.h"

#include "zone/export.h"
#include "zonecfg/parse_export.h"

namespace kz::monitor {

void put_live_record(store::RuntimeRecord& runtime, const zone::Config& config,
                     const qemu::MachineShape& shape) {
    runtime.details["configuration"] = zone::export_text(config, /*with_secrets=*/false);
    runtime.details["shape"] = shape.to_json();
}

Result<zone::Config> read_live_config(std::string_view text, const zone::Config& stored) {
    KZ_TRY(zone::Config config, zonecfg::parse_export(text, stored.name()));
    if (const auto key = stored.keysource_raw()) KZ_CHECK(config.set_keysource_raw(*key));
    return config;
}

Result<zone::Config> live_config(const store::RuntimeRecord& runtime, const zone::Config& stored) {
    KZ_TRY(const auto text, json_optional_text(runtime.details, "configuration"));
    if (!text) return stored;
    Result<zone::Config> config = read_live_config(*text, stored);
    if (!config)
        return std::unexpected(std::move(config).error().context("the running zone's configuration"));
    return config;
}

Result<std::optional<qemu::MachineShape>> recorded_shape(const store::RuntimeRecord& runtime) {
    return qemu::optional_shape(runtime.details);
}

}  // namespace kz::monitor
