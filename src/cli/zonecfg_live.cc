#include "cli/zonecfg_live.h"

namespace kz::cli {

Result<zone::Config> LiveEnvironment::load_zone(const std::string& name) {
    return client_.live_configuration(name);
}

Result<void> LiveEnvironment::save(const zone::Config& config, const std::optional<zone::Config>& stored) {
    if (!stored || config.name() != stored->name())
        return fail(Errc::wrong_state, "{}: a running zone cannot be made or renamed", config.name());
    KZ_TRY(const zone::Config now, client_.live_configuration(config.name()));
    if (now != *stored)
        return fail(Errc::busy,
                    "{}: The running zone was changed by somebody else meanwhile; use 'revert' to see it.",
                    config.name());
    if (config.keysource_raw() != now.keysource_raw())
        return fail(Errc::wrong_state, "keysource: a running zone keeps its key");
    client::Reporter reporter;
    reporter.message = [this](const std::string& text) {
        text.starts_with("warning: ") ? err(text + "\n") : out(text + "\n");
    };
    const Result<Json> applied =
        client_.apply(config.name(), {.dry_run = false, .configuration = config}, reporter);
    return applied ? Result<void>() : std::unexpected(applied.error());
}

Result<void> LiveEnvironment::remove(const std::string& name) {
    return fail(Errc::wrong_state, "{}: a running zone cannot be deleted", name);
}

}  // namespace kz::cli
