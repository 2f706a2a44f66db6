#include "rad/radd.h"

#include "client/client.h"
#include "crypto/tls.h"
#include "migrate/peer_address.h"
#include "migrate/peer_keys.h"
#include "os/process.h"
#include "os/service.h"
#include "os/socket.h"
#include "rad/migration_routes.h"
#include "rad/server.h"
#include "rad/stdio.h"

namespace kz::rad {
namespace {

constexpr std::string_view kUsage =
    "usage: kz-radd [-R DIR] [--port N] [--listen ADDRESS] [--log FILE] [--daemon]\n"
    "       kz-radd [-R DIR] --stdio\n"
    "       kz-radd [-R DIR] --fingerprint\n"
    "       kz-radd [-R DIR] --authorize FINGERPRINT [NAME]\n"
    "Remote administration of this host's zones, over TLS and a unix socket.\n"
    "  -R DIR            the host's files are below DIR (default: KZONES_ROOT, or /)\n"
    "  --port N          TCP port (default 12302)\n"
    "  --listen ADDRESS  only on this address (default: all)\n"
    "  --log FILE        log there (default: standard error; var/log/zones/radd.log with --daemon)\n"
    "  --daemon          start in the background, and return when it is ready\n"
    "  --stdio           serve one connection on standard input and output: what ssh runs for a migration\n"
    "  --fingerprint     print the fingerprint of this host's key, which is made when there is none\n"
    "  --authorize       let the host with this key administer this one\n";

void add_routes(Router& router, const HostPaths& paths, client::Client& client, Log& log) {
    add_host_routes(router, paths);
    add_migration_routes(router, client, log);
}

Result<std::optional<int>> run_arguments(const HostPaths& paths, const ServiceOptions& options) {
    const std::vector<std::string>& words = options.others;
    if (words.empty()) return std::nullopt;
    if (words.front() == "--fingerprint" && words.size() == 1) {
        KZ_TRY(const crypto::HostKey key, migrate::load_or_create_host_key(paths));
        fmt::print("{}\n", key.fingerprint);
        return 0;
    }
    if (words.front() == "--stdio" && words.size() == 1) {
        KZ_CHECK(serve_stdio(paths, [&](Router& router, client::Client& client, Log& log) {
            add_routes(router, paths, client, log);
        }));
        return 0;
    }
    if (words.front() == "--authorize" && (words.size() == 2 || words.size() == 3)) {
        KZ_CHECK(migrate::authorize_key(paths, words[1], words.size() == 3 ? words[2] : ""));
        return 0;
    }
    if (words.front() == "--authorize") return fail(Errc::invalid_argument, "--authorize FINGERPRINT [NAME]");
    return fail(Errc::invalid_argument, "unexpected argument '{}'", words.back());
}

HttpServer::Authorize authorize_by_file(const HostPaths& paths) {
    return [paths](const std::string& fingerprint) -> Result<std::optional<std::string>> {
        KZ_TRY(const migrate::AuthorizedKeys keys, migrate::AuthorizedKeys::load(paths));
        return keys.find(fingerprint);
    };
}

Result<void> serve(Service& service, const HostPaths& paths, const ServiceOptions& options) {
    const Path socket = paths.run_dir() / "rad.sock";
    KZ_TRY(const crypto::HostKey key, migrate::load_or_create_host_key(paths));
    KZ_TRY(crypto::TlsContext tls, crypto::TlsContext::server(key, crypto::ClientCertificate::required));
    Router router;
    KZ_TRY(client::Client client, client::Client::open(paths));
    add_routes(router, paths, client, service.log());
    HttpServer server(router, authorize_by_file(paths), ServerLimits{}, service.log());
    KZ_TRY(UniqueFd tcp, tcp_listen(options.address, options.port));
    server.listen_tls(std::move(tcp), std::move(tls));
    KZ_TRY(UniqueFd local, unix_listen(socket, 0600));
    server.listen_unix(std::move(local));
    service.log().info("ready on port {}, key {}", options.port, key.fingerprint);
    report_ready({});
    const auto served = server.run(service.stop_fd());
    KZ_CHECK(remove_file(socket));
    service.log().info("ended");
    return served;
}

}  // namespace

int radd_main(int argc, char** argv) {
    return run_service_program({.program = "kz-radd",
                                .name = "radd",
                                .default_port = migrate::kRadPort,
                                .usage = kUsage,
                                .arguments = run_arguments,
                                .serve = serve},
                               argc, argv);
}

}  // namespace kz::rad
