// The program kz-migrd.
#include "migrate/gateway.h"
#include "migrate/session.h"
#include "os/process.h"
#include "os/service.h"
#include "os/socket.h"

namespace kz::migrate {
namespace {

constexpr std::string_view kUsage =
    "usage: kz-migrd [-R DIR] [--port N] [--listen ADDRESS] [--log FILE] [--daemon]\n"
    "Accepts the memory connections of migrations to this host and hands each to the zone that expects it.\n"
    "  -R DIR            the host's files are below DIR (default: KZONES_ROOT, or /)\n"
    "  --port N          TCP port (default 8102)\n"
    "  --listen ADDRESS  only on this address (default: all)\n"
    "  --log FILE        log there (default: standard error; var/log/zones/migrd.log with --daemon)\n"
    "  --daemon          start in the background, and return when it is ready\n";

Result<std::optional<int>> no_arguments(const HostPaths&, const ServiceOptions& options) {
    if (!options.others.empty())
        return fail(Errc::invalid_argument, "unexpected argument '{}'", options.others.front());
    return std::nullopt;
}

Result<void> serve(Service& service, const HostPaths& paths, const ServiceOptions& options) {
    KZ_TRY(UniqueFd tcp, tcp_listen(options.address, options.port));
    KZ_TRY(UniqueFd local, unix_listen(paths.migrd_socket(), 0600));
    service.log().info("ready on port {}", options.port);
    report_ready({});
    Gateway gateway(std::move(tcp), std::move(local), GatewayLimits{}, service.log());
    const auto served = gateway.run(service.stop_fd());
    KZ_CHECK(remove_file(paths.migrd_socket()));
    service.log().info("ended");
    return served;
}

}  // namespace

int gateway_main(int argc, char** argv) {
    return run_service_program({.program = "kz-migrd",
                                .name = "migrd",
                                .default_port = kMigrationPort,
                                .usage = kUsage,
                                .arguments = no_arguments,
                                .serve = serve},
                               argc, argv);
}

}  // namespace kz::migrate
