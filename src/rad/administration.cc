#include "rad/administration.h"

#include "client/incoming_move.h"
#include "client/migration_limits.h"
#include "rad/migration_routes.h"
#include "rad/routes.h"

namespace kz::rad {

Administration::Administration(client::Client client, PasswordCheck check, Log& log, GuardLimits limits)
    : log_(log),
      client_(std::move(client)),
      audit_(client_.paths(), log),
      guard_(client_.paths(), std::move(check), log, limits),
      migrations_(
          [this](const std::string& zone, const client::MigrateOptions& options,
                 const client::Reporter& reporter) { return client_.migrate(zone, options, reporter); },
          [this](const std::string& zone, std::uint64_t bandwidth) {
              return client::limit_migration(client_.paths(), zone, bandwidth);
          },
          hub_) {}

Result<std::unique_ptr<Administration>> Administration::open(const HostPaths& paths, PasswordCheck check,
                                                             Log& log, GuardLimits limits) {
    KZ_TRY(client::Client client, client::Client::open(paths));
    std::unique_ptr<Administration> made(
        new Administration(std::move(client), std::move(check), log, limits));
    for (const std::string& zone : client::remove_stale_imports(made->client_.registry()))
        log.info("zone '{}': the configuration was removed again: its migration to this host was broken off",
                 zone);
    made->add_routes();
    Result<std::unique_ptr<ZoneWatch>> watch = ZoneWatch::start(paths, made->hub_, log);
    if (watch)
        made->watch_ = *std::move(watch);
    else
        log.error("the zones are not watched: {}", watch.error().message());
    return made;
}

void Administration::add_routes() {
    add_login_route(router_, guard_);
    add_host_routes(router_, client_.paths(), guard_);
    add_configuration_routes(router_, client_);
    add_state_routes(router_, client_);
    add_migrate_routes(router_, migrations_, client_.paths(), guard_);
    add_event_routes(router_, hub_, guard_);
    add_migration_routes(router_, client_, log_);
}

}  // namespace kz::rad
