#include "rad/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <ranges>
#include <system_error>
#include <thread>

#include "os/io.h"
#include "os/socket.h"
#include "rad/refusals.h"

namespace kz::rad {
namespace {

// How long the port rests after an accept(2) that failed for want of descriptors or memory.
constexpr std::chrono::milliseconds kAcceptPause{100};

// A connection as the accepting thread sees it. Guarded by Impl::mutex, but for `thread`, which only the
// accepting thread touches.
struct Client {
    std::string address;
    UniqueFd fd;  // a copy for shutdown(2); empty once the thread has closed its own
    bool stranger = true;
    bool displaced = false;
    bool done = false;
    std::thread thread;
};

}  // namespace

struct HttpServer::Impl {
    Impl(Desk the_desk, ServerLimits the_limits)
        : desk(the_desk), limits(the_limits), refusals(the_desk.log) {}

    Result<void> run(int stop_fd);
    Result<std::array<short, 3>> wait(int stop_fd) const;
    void accept_client(int listener, bool tls);
    bool make_room();
    Client* find_victim();
    void start(UniqueFd socket, std::string address, bool tls);
    void serve_tls(Client& client, UniqueFd socket);
    void serve_unix(Client& client, UniqueFd socket);
    void exchange(Client& client, std::unique_ptr<migrate::Transport> transport, PeerIdentity peer);
    Admission admit(Client& client, PeerIdentity& peer, const ConnectionContext& context);
    void reap(bool all);
    void hang_up_all();

    Desk desk;
    ServerLimits limits;
    Refusals refusals;
    UniqueFd tcp;
    std::optional<crypto::TlsContext> tls_context;
    UniqueFd local;
    Deadline accept_pause = Deadline::after(std::chrono::milliseconds(0));
    mutable std::mutex mutex;
    std::list<Client> clients;  // the oldest first
    ServerCounters counters;
};

Result<void> HttpServer::Impl::run(int stop_fd) {
    for (const int listener : {tcp.get(), local.get()})
        if (listener >= 0) KZ_CHECK(set_nonblocking(listener, true));
    while (true) {
        const auto ready = wait(stop_fd);
        if (!ready || ready->at(0) != 0) {
            hang_up_all();
            reap(true);
            return ready ? Result<void>() : std::unexpected(ready.error());
        }
        reap(false);
        if (ready->at(1) != 0) accept_client(tcp.get(), true);
        if (ready->at(2) != 0) accept_client(local.get(), false);
    }
}

// What happened at the stop descriptor, the port and the unix socket.
Result<std::array<short, 3>> HttpServer::Impl::wait(int stop_fd) const {
    const bool resting = !accept_pause.passed();
    std::array<pollfd, 3> polled{pollfd{stop_fd, POLLIN, 0}, pollfd{resting ? -1 : tcp.get(), POLLIN, 0},
                                 pollfd{resting ? -1 : local.get(), POLLIN, 0}};
    const int ready = ::poll(polled.data(), polled.size(), resting ? accept_pause.poll_timeout() : -1);
    if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
    if (ready <= 0) return std::array<short, 3>{};
    return std::array{polled[0].revents, polled[1].revents, polled[2].revents};
}

void HttpServer::Impl::accept_client(int listener, bool tls) {
    UniqueFd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) {
        const bool harmless = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
        if (!harmless) accept_pause = Deadline::after(kAcceptPause);
        return;
    }
    std::string address = tls ? tcp_peer_address(socket.get()).value_or("unknown") : "local";
    if (make_room())
        start(std::move(socket), std::move(address), tls);
    else
        refusals.tell(address, "too many clients");
}

// For a new stranger beyond the cap another is hung up on. Its thread needs a moment to end, so there is a
// second, hard cap on threads. False when that is reached.
bool HttpServer::Impl::make_room() {
    const std::lock_guard lock(mutex);
    ++counters.accepted;
    if (clients.size() >= limits.connections + 4 * limits.strangers) {
        ++counters.refused;
        return false;
    }
    if (Client* const victim = find_victim()) {
        ++counters.displaced;
        victim->displaced = true;
        ::shutdown(victim->fd.get(), SHUT_RDWR);
    }
    return true;
}

// The oldest stranger of the address that has the most; null while there are few. Called under the mutex.
Client* HttpServer::Impl::find_victim() {
    const auto counts = [](const Client& each) { return each.stranger && !each.displaced && !each.done; };
    std::map<std::string_view, std::size_t> per_address;
    std::size_t total = 0;
    for (const Client& each : clients | std::views::filter(counts)) {
        ++per_address[each.address];
        ++total;
    }
    if (total < limits.strangers) return nullptr;
    const auto most = std::ranges::max_element(per_address, {}, [](const auto& each) { return each.second; });
    const auto oldest = std::ranges::find_if(
        clients, [&](const Client& each) { return counts(each) && each.address == most->first; });
    return &*oldest;
}

void HttpServer::Impl::start(UniqueFd socket, std::string address, bool tls) {
    Client* client = nullptr;
    {
        const std::lock_guard lock(mutex);
        client = &clients.emplace_back();
        client->address = std::move(address);
        client->fd.reset(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
    }
    const auto body = [this, client, tls](UniqueFd own) {
        if (tls)
            serve_tls(*client, std::move(own));
        else
            serve_unix(*client, std::move(own));
        const std::lock_guard lock(mutex);
        client->fd.reset();
        client->done = true;
    };
    try {
        client->thread = std::thread(body, std::move(socket));
    } catch (const std::system_error& error) {
        desk.log.error("no thread for a client: {}", error.what());
        const std::lock_guard lock(mutex);
        clients.pop_back();
    }
}

void HttpServer::Impl::serve_tls(Client& client, UniqueFd socket) {
    PeerIdentity peer;
    peer.address = client.address;
    peer.name = peer.address;
    const auto tuned = tune_tcp(socket.get());
    // Anybody may finish the handshake; who it is and what it may do is judged after that, and told.
    auto stream = crypto::TlsStream::accept(
        std::move(socket), *tls_context, [](const std::string&) { return true; },
        Deadline::after(limits.handshake));
    if (!tuned || !stream)
        return refusals.tell(peer.address, (stream ? tuned.error() : stream.error()).message());
    peer.fingerprint = stream->peer_fingerprint();
    exchange(client, migrate::make_transport(*std::move(stream)), std::move(peer));
}

void HttpServer::Impl::serve_unix(Client& client, UniqueFd socket) {
    PeerIdentity peer{.local = true, .fingerprint = {}, .name = "root", .address = "local"};
    const auto who = unix_peer_credentials(socket.get());
    if (!who || (who->uid != 0 && who->uid != ::geteuid()))
        return refusals.tell("local", "only root may use the socket");
    auto transport = migrate::make_transport(std::move(socket));
    if (transport) exchange(client, *std::move(transport), std::move(peer));
}

void HttpServer::Impl::exchange(Client& client, std::unique_ptr<migrate::Transport> transport,
                                PeerIdentity peer) {
    Exchange exchange(desk, limits, [&](PeerIdentity& asked, const ConnectionContext& context) {
        return admit(client, asked, context);
    });
    exchange.serve(*transport, std::move(peer));
}

Admission HttpServer::Impl::admit(Client& client, PeerIdentity& peer, const ConnectionContext& context) {
    const Result<bool> known = desk.guard.identify(peer, context);
    if (!known) refusals.tell(peer.address, known.error().message());
    if (!known || !*known) return Admission::stranger;
    const std::lock_guard lock(mutex);
    if (!client.stranger) return Admission::admitted;
    const auto admitted =
        std::ranges::count_if(clients, [](const Client& each) { return !each.stranger && !each.done; });
    if (static_cast<std::size_t>(admitted) >= limits.connections) return Admission::too_many;
    client.stranger = false;
    return Admission::admitted;
}

// Joins the threads of connections that have ended, or waits for all of them.
void HttpServer::Impl::reap(bool all) {
    std::list<Client> ended;
    {
        const std::lock_guard lock(mutex);
        for (auto each = clients.begin(); each != clients.end();) {
            const auto next = std::next(each);
            if (all || each->done) ended.splice(ended.end(), clients, each);
            each = next;
        }
    }
    for (Client& each : ended)
        each.thread.join();
}

void HttpServer::Impl::hang_up_all() {
    const std::lock_guard lock(mutex);
    for (const Client& each : clients)
        if (each.fd) ::shutdown(each.fd.get(), SHUT_RDWR);
}

HttpServer::HttpServer(Desk desk, ServerLimits limits) : impl_(std::make_unique<Impl>(desk, limits)) {}
HttpServer::~HttpServer() = default;

void HttpServer::listen_tls(UniqueFd listener, crypto::TlsContext context) {
    impl_->tcp = std::move(listener);
    impl_->tls_context = std::move(context);
}

void HttpServer::listen_unix(UniqueFd listener) {
    impl_->local = std::move(listener);
}

Result<void> HttpServer::run(int stop_fd) {
    return impl_->run(stop_fd);
}

std::size_t HttpServer::connection_count() const {
    const std::lock_guard lock(impl_->mutex);
    return static_cast<std::size_t>(
        std::ranges::count_if(impl_->clients, [](const Client& each) { return !each.done; }));
}

ServerCounters HttpServer::counters() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->counters;
}

}  // namespace kz::rad
