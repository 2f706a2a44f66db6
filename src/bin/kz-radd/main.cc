#include <optional>

#include "rad/migration_routes.h"
#include "rad/radd.h"

int main(int argc, char** argv) {
    std::optional<kz::client::Client> client;
    return kz::rad::radd_main(argc, argv, [&client](kz::rad::Router& router, const kz::HostPaths& paths, kz::Log& log) {
        if (kz::Result<kz::client::Client> opened = kz::client::Client::open(paths)) {
            client.emplace(std::move(*opened));
            kz::rad::add_migration_routes(router, *client, log);
        } else {
            log.error("{}", opened.error().message());
        }
    });
}
