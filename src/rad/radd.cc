#include "rad/radd.h"

#include <algorithm>

#include "crypto/tls.h"
#include "migrate/peer_address.h"
#include "migrate/peer_keys.h"
#include "os/process.h"
#include "os/service.h"
#include "os/socket.h"
#include "rad/administration.h"
#include "rad/listen_fds.h"
#include "rad/pam_check.h"
#include "rad/server.h"
#include "rad/stdio.h"

namespace kz::rad {
namespace {

constexpr std::string_view kSocket = "rad.sock";
constexpr std::string_view kUsage =
    "usage: kz-radd [-R DIR] [--port N] [--listen ADDRESS] [--log FILE] [--daemon]\n"
    "       kz-radd [-R DIR] --stdio\n"
    "       kz-radd [-R DIR] --fingerprint\n"
    "       kz-radd [-R DIR] --authorize FINGERPRINT [--role ROLE] [NAME]\n"
    "Remote administration of this host's zones, over TLS and a unix socket.\n"
    "  -R DIR            the host's files are below DIR (default: KZONES_ROOT, or /)\n"
    "  --port N          TCP port (default 12302)\n"
    "  --listen ADDRESS  only on this address (default: all)\n"
    "  --log FILE        log there (default: standard error; var/log/zones/radd.log with --daemon)\n"
    "  --daemon          start in the background, and return when it is ready\n"
    "  --stdio           serve one connection on standard input and output: what ssh runs for a migration\n"
    "  --fingerprint     print the fingerprint of this host's key, which is made when there is none\n"
    "  --authorize       let the host with this key administer this one: as full (the default), operator,\n"
    "                    migrate (move zones here, and look) or viewer\n";

Result<std::optional<int>> authorize(const HostPaths& paths, std::vector<std::string> words) {
    std::string role;
    const auto option = std::ranges::find(words, "--role");
    if (option != words.end() && option + 1 != words.end()) {
        role = *(option + 1);
        words.erase(option, option + 2);
        if (!parse_role(role))
            return fail(Errc::invalid_argument, "'{}' is not a role: full, operator, migrate or viewer",
                        role);
    }
    if (words.empty() || words.size() > 2 || words.back().starts_with("--"))
        return fail(Errc::invalid_argument, "--authorize FINGERPRINT [--role ROLE] [NAME]");
    KZ_CHECK(migrate::authorize_key(paths, words[0], words.size() == 2 ? words[1] : "", role));
    return 0;
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
        KZ_CHECK(serve_stdio(paths));
        return 0;
    }
    // What rad/pam_check.h starts.
    if (words.front() == "--check-password" && words.size() <= 2)
        return check_password_main(words.size() == 2 ? std::optional<Path>(words[1]) : std::nullopt);
    if (words.front() == "--authorize") return authorize(paths, {words.begin() + 1, words.end()});
    return fail(Errc::invalid_argument, "unexpected argument '{}'", words.back());
}

// systemd's, or our own.
Result<void> listen(HttpServer& server, const crypto::HostKey& key, const HostPaths& paths,
                    const ServiceOptions& options, ListenFds given) {
    KZ_TRY(crypto::TlsContext tls, crypto::TlsContext::server(key, crypto::ClientCertificate::optional));
    if (!given.tcp) {
        KZ_TRY(given.tcp, tcp_listen(options.address, options.port));
    }
    if (!given.local) {
        KZ_TRY(given.local, unix_listen(paths.run_dir() / kSocket, 0600));
    }
    server.listen_tls(std::move(given.tcp), std::move(tls));
    server.listen_unix(std::move(given.local));
    return {};
}

Result<void> serve(Service& service, const HostPaths& paths, const ServiceOptions& options) {
    KZ_TRY(ListenFds given, take_listen_fds());
    const bool own_socket = !given.local;
    KZ_TRY(const crypto::HostKey key, migrate::load_or_create_host_key(paths));
    KZ_TRY(const std::unique_ptr<Administration> administration,
           Administration::open(paths, check_by_pam(pam_options(paths)), service.log()));
    HttpServer server(administration->desk(), ServerLimits{});
    KZ_CHECK(listen(server, key, paths, options, std::move(given)));
    service.log().info("ready on port {}, key {}", options.port, key.fingerprint);
    report_ready({});
    const auto served = server.run(service.stop_fd());
    if (own_socket) KZ_CHECK(remove_file(paths.run_dir() / kSocket));
    const ServerCounters counters = server.counters();
    service.log().info("ended; {} connections, of which {} were displaced and {} refused", counters.accepted,
                       counters.displaced, counters.refused);
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
