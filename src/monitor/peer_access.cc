#include "monitor/peer_access.h"

#include <sys/stat.h>

#include "migrate/peer_login.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::seconds kConnectTime{15};
constexpr std::chrono::seconds kLoginTime{30};
constexpr std::chrono::seconds kPasswordTime{5};

Result<UniqueFd> only_descriptor(Caller& caller) {
    std::vector<UniqueFd> descriptors = caller.take_descriptors();
    if (descriptors.size() != 1)
        return fail(Errc::protocol, "the request came with {} descriptors instead of 1", descriptors.size());
    return std::move(descriptors.front());
}

Result<migrate::Peer> peer_on_stream(const migrate::PeerAddress& address, UniqueFd stream) {
    struct stat status{};
    if (::fstat(stream.get(), &status) < 0 || !S_ISSOCK(status.st_mode))
        return fail(Errc::protocol, "the stream to {} is not a socket", address.host);
    return migrate::Peer::on_stream(address, std::move(stream));
}

Result<MemoryRoute> memory_route(const migrate::PeerAddress& address, const Json& request) {
    MemoryRoute route;
    KZ_TRY(const auto host, json_optional_text(request, "memory_host"));
    KZ_TRY(const auto socket, json_optional_text(request, "memory_socket"));
    route.host = host.value_or(address.host);
    route.tunnel = socket.value_or("");
    route.may_tunnel = address.scheme == migrate::PeerScheme::ssh;
    if (!route.tunnel.empty() && !route.tunnel.is_absolute())
        return fail(Errc::protocol, "the tunnel's socket is not named by a full path");
    return route;
}

}  // namespace

Result<PeerAccess> open_peer(const HostPaths& paths, const migrate::PeerAddress& address, const Json& request,
                             Caller& caller, int cancel_fd) {
    KZ_TRY(MemoryRoute route, memory_route(address, request));
    KZ_TRY(const auto user, json_optional_text(request, "login"));
    if (address.scheme == migrate::PeerScheme::ssh) {
        KZ_TRY(UniqueFd stream, only_descriptor(caller));
        KZ_TRY(migrate::Peer peer, peer_on_stream(address, std::move(stream)));
        return PeerAccess{std::move(peer), std::move(route)};
    }
    KZ_TRY(migrate::Peer peer,
           migrate::Peer::connect(address, paths, migrate::TrustPolicy::refuse(), kConnectTime, cancel_fd));
    if (user) {
        KZ_TRY(const UniqueFd pipe, only_descriptor(caller));
        KZ_TRY(const Secret password,
               migrate::password_from_pipe(pipe.get(), Deadline::after(kPasswordTime)));
        KZ_CHECK(peer.login(*user, password, kLoginTime, cancel_fd));
    }
    return PeerAccess{std::move(peer), std::move(route)};
}

}  // namespace kz::monitor
