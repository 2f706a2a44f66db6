#include "monitor/stream_channels.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <memory>

#include "os/socket.h"
#include "stream/keys.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::seconds kConnectTime{10};
constexpr int kTransportBuffer = 4 * 1024 * 1024;
// Of the transport's buffer, what has not left yet. QEMU takes the link for as fast as its bytes are taken,
// and decides by that how long the guest will stand still: what only waits in a large buffer would fool it.
constexpr int kUnsent = 512 * 1024;
// A page that a processor waits for goes behind what waits there already.
constexpr int kUnsentPages = 64 * 1024;
constexpr std::string_view kPurpose = "live migration";
// A destination that takes nothing for this long is lost.
constexpr std::chrono::seconds kStall{30};

// What the threads of a group share; a PumpBody is copied to each.
struct Shared {
    Transport transport;
    Secret secret;
    crypto::Cipher cipher;

    Result<stream::ChannelKeys> keys(unsigned channel) const {
        return stream::derive_channel_keys(secret.view(), transport[channel].nonce, kPurpose, cipher, channel,
                                           stream::Direction::forward);
    }
};

// A tunnel is no TCP connection and goes without.
void limit_unsent(int fd, int bytes = kUnsent) {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

std::shared_ptr<const Shared> share(Transport transport, const migrate::Session& session,
                                    crypto::Cipher cipher) {
    for (const migrate::ChannelConnection& connection : transport)
        set_socket_buffers(connection.fd.get(), kTransportBuffer);
    return std::make_shared<const Shared>(Shared{std::move(transport), session.secret.clone(), cipher});
}

Result<migrate::ChannelConnection> connect_one(const MemoryRoute& route, const migrate::Session& session,
                                               unsigned channel, int cancel_fd) {
    const Deadline deadline = Deadline::after(kConnectTime);
    if (route.tunnel.empty()) {
        auto direct = migrate::connect_channel(route.host, session.port, session.id, session.secret, channel,
                                               deadline, cancel_fd);
        if (!direct && direct.error().code() != Errc::cancelled && route.may_tunnel)
            return std::unexpected(
                std::move(direct).error().append("with --tunnel memory goes through ssh instead"));
        return direct;
    }
    KZ_TRY_CONTEXT(UniqueFd socket, unix_connect(route.tunnel, deadline), "the tunnel through ssh");
    auto proven = migrate::prove_channel(std::move(socket), route.host, session.id, session.secret, channel,
                                         deadline, cancel_fd);
    // ssh takes the connection before it has one at the other side.
    if (!proven && proven.error().code() == Errc::permission)
        return fail(Errc::unavailable,
                    "nothing took it at the other end of the tunnel; does kz-migrd run there, and does sshd "
                    "there allow forwarding to 127.0.0.1?");
    return proven;
}

}  // namespace

Result<Transport> connect_transport(const MemoryRoute& route, const migrate::Session& session,
                                    unsigned channels, int cancel_fd) {
    Transport transport;
    for (unsigned channel = 0; channel < channels; ++channel) {
        KZ_TRY_CONTEXT(migrate::ChannelConnection connection, connect_one(route, session, channel, cancel_fd),
                       fmt::format("memory connection to port {} of {}", session.port, route.host));
        transport.push_back(std::move(connection));
    }
    return transport;
}

migrate::PumpBody sealing_body(Transport transport, const migrate::Session& session, crypto::Cipher cipher) {
    for (const migrate::ChannelConnection& connection : transport)
        limit_unsent(connection.fd.get());
    return [shared = share(std::move(transport), session, cipher)](
               unsigned channel, int local_fd, stream::PumpRules rules,
               stream::PumpCounters& counters) -> Result<stream::PumpTotals> {
        KZ_TRY(const stream::ChannelKeys keys, shared->keys(channel));
        KZ_TRY(stream::RecordSealer sealer,
               stream::RecordSealer::create(shared->cipher, keys, stream::Compression::adaptive));
        rules.output_stall = kStall;
        return stream::pump_seal(local_fd, shared->transport[channel].fd.get(), sealer, rules, counters);
    };
}

migrate::PumpBody opening_body(Transport transport, const migrate::Session& session, crypto::Cipher cipher) {
    return [shared = share(std::move(transport), session, cipher)](
               unsigned channel, int local_fd, const stream::PumpRules& rules,
               stream::PumpCounters& counters) -> Result<stream::PumpTotals> {
        KZ_TRY(const stream::ChannelKeys keys, shared->keys(channel));
        KZ_TRY(stream::RecordOpener opener, stream::RecordOpener::create(shared->cipher, keys));
        Result<stream::PumpTotals> totals =
            stream::pump_open(shared->transport[channel].fd.get(), local_fd, opener, rules, counters);
        if (totals) ::shutdown(local_fd, SHUT_WR);
        return totals;
    };
}

Result<std::shared_ptr<migrate::SealedLink>> connect_link(const MemoryRoute& route,
                                                          const migrate::Session& session,
                                                          crypto::Cipher cipher, int cancel_fd) {
    KZ_TRY(Transport transport, connect_transport(route, session, 1, cancel_fd));
    limit_unsent(transport.front().fd.get(), kUnsentPages);
    KZ_TRY(std::unique_ptr<migrate::SealedLink> link,
           migrate::SealedLink::open(std::move(transport.front()), session, cipher,
                                     migrate::SealedLink::Side::source, Deadline::after(kConnectTime),
                                     cancel_fd));
    return std::shared_ptr<migrate::SealedLink>(std::move(link));
}

migrate::PumpBody carrying_body(std::shared_ptr<migrate::SealedLink> link, migrate::SealedLink::Side side) {
    return [link = std::move(link), side](unsigned, int local_fd, const stream::PumpRules& rules,
                                          stream::PumpCounters& counters) -> Result<stream::PumpTotals> {
        stream::PumpCounters requests;
        const bool sends = side == migrate::SealedLink::Side::source;
        KZ_CHECK(link->carry(
            local_fd, rules,
            sends ? stream::TwoWayCounters{counters, requests} : stream::TwoWayCounters{requests, counters}));
        return stream::PumpTotals{counters.plain_bytes, counters.sealed_bytes, counters.records};
    };
}

}  // namespace kz::monitor
