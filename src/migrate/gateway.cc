#include "migrate/gateway.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <optional>

#include "base/bytes.h"
#include "migrate/gateway_sessions.h"
#include "os/io.h"
#include "os/socket.h"

namespace kz::migrate {
namespace {

// A monitor on this host that does not read, or sends half a registration, holds the others up no longer.
constexpr std::chrono::milliseconds kMonitorTimeout{1000};
// How long the port rests after an accept(2) that failed for want of descriptors or memory.
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr int kAcceptsPerRound = 64;

std::string short_name(const SessionId& id) {
    return to_hex(ByteView(id).first(4));
}

std::uint64_t refused(const GatewayCounters& counters) {
    return counters.silent + counters.displaced + counters.malformed + counters.unknown_session +
           counters.wrong_proof + counters.repeated_channel + counters.ended;
}

}  // namespace

struct Gateway::Impl {
    Impl(UniqueFd tcp_socket, UniqueFd unix_socket, GatewayLimits gateway_limits, Log& gateway_log)
        : tcp(std::move(tcp_socket)),
          local(std::move(unix_socket)),
          limits(gateway_limits),
          log(gateway_log),
          sessions(gateway_limits.sessions) {}

    // What one round waits for: the fixed descriptors, then sessions and pending connections in the order of
    // their tables.
    struct Round {
        std::vector<pollfd> polled;
        short at(std::size_t index) const { return polled[index].revents; }
    };
    enum Index : std::size_t { kStop, kTcp, kLocal, kFirstSession };

    Round prepare(int stop_fd) const;
    Result<bool> wait(Round& round) const;
    void end_sessions(const Round& round);
    void read_hellos(const Round& round);
    void drop_silent();
    void accept_memory();
    void accept_monitor();
    Result<Registration> read_registration(int monitor) const;
    void displace_oldest();
    void finish_hello(PendingConnection& connection);
    void hand_over(const PendingConnection& connection, const RegisteredSession& session,
                   const stream::Hello& hello);
    void report(bool now);
    Result<void> run(int stop_fd);
    GatewayCounters snapshot() const {
        const std::lock_guard lock(mutex);
        return counters;
    }
    void count(std::uint64_t GatewayCounters::* counter) {
        const std::lock_guard lock(mutex);
        ++(counters.*counter);
    }

    UniqueFd tcp;
    UniqueFd local;
    GatewayLimits limits;
    Log& log;
    SessionTable sessions;
    std::list<PendingConnection> pending;  // the oldest first, which is also the order of deadlines
    Deadline accept_pause = Deadline::after(std::chrono::milliseconds(0));
    std::optional<Deadline> next_report;
    GatewayCounters reported;
    mutable std::mutex mutex;
    GatewayCounters counters;
};

Gateway::Impl::Round Gateway::Impl::prepare(int stop_fd) const {
    Round round;
    round.polled.reserve(kFirstSession + sessions.all().size() + pending.size());
    round.polled.push_back({stop_fd, POLLIN, 0});
    round.polled.push_back({accept_pause.passed() ? tcp.get() : -1, POLLIN, 0});
    round.polled.push_back({local.get(), POLLIN, 0});
    for (const auto& [id, session] : sessions.all())
        round.polled.push_back({session.monitor.get(), POLLIN, 0});
    for (const PendingConnection& each : pending)
        round.polled.push_back({each.fd.get(), POLLIN, 0});
    return round;
}

// False when nothing happened: a deadline passed, or a signal came.
Result<bool> Gateway::Impl::wait(Round& round) const {
    Deadline until = next_report.value_or(Deadline::never());
    if (!pending.empty()) until = until.earlier(pending.front().deadline);
    if (!accept_pause.passed()) until = until.earlier(accept_pause);
    const int ready = ::poll(round.polled.data(), round.polled.size(), until.poll_timeout());
    if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
    return ready > 0;
}

// A monitor says nothing after its registration: whatever comes, most of all the end, ends the session.
void Gateway::Impl::end_sessions(const Round& round) {
    std::vector<SessionId> ended;
    std::size_t index = kFirstSession;
    for (const auto& [id, session] : sessions.all())
        if (round.at(index++) != 0) ended.push_back(id);
    for (const SessionId& id : ended) {
        sessions.remove(id);
        log.info("session {} ended", short_name(id));
    }
}

// `round` knows as many pending connections as there were when it was prepared: no more were added since.
void Gateway::Impl::read_hellos(const Round& round) {
    std::size_t index = round.polled.size() - pending.size();
    for (auto each = pending.begin(); each != pending.end();) {
        const bool ready = round.at(index++) != 0;
        const auto progress = ready ? each->read() : PendingConnection::Progress::waiting;
        if (progress == PendingConnection::Progress::waiting) {
            ++each;
            continue;
        }
        if (progress == PendingConnection::Progress::complete)
            finish_hello(*each);
        else
            count(&GatewayCounters::ended);
        each = pending.erase(each);
    }
}

void Gateway::Impl::finish_hello(PendingConnection& connection) {
    const RegisteredSession* session = nullptr;
    stream::Hello hello;
    switch (sessions.judge(connection.hello, &session, &hello)) {
        case HelloVerdict::good:
            return hand_over(connection, *session, hello);
        case HelloVerdict::malformed:
            return count(&GatewayCounters::malformed);
        case HelloVerdict::unknown_session:
            return count(&GatewayCounters::unknown_session);
        case HelloVerdict::wrong_proof:
            return count(&GatewayCounters::wrong_proof);
        case HelloVerdict::repeated_channel:
            return count(&GatewayCounters::repeated_channel);
    }
}

void Gateway::Impl::hand_over(const PendingConnection& connection, const RegisteredSession& session,
                              const stream::Hello& hello) {
    const int fd = connection.fd.get();
    const auto sent = send_message(session.monitor.get(), as_text(connection.hello), std::span(&fd, 1),
                                   Deadline::after(kMonitorTimeout));
    if (!sent) {
        log.error("session {}: {}", short_name(hello.session), sent.error().message());
        sessions.remove(hello.session);
        return;
    }
    count(&GatewayCounters::handed_over);
    log.info("session {}: connection {} from {}", short_name(hello.session), hello.channel,
             connection.address);
}

void Gateway::Impl::drop_silent() {
    while (!pending.empty() && pending.front().deadline.passed()) {
        pending.pop_front();
        count(&GatewayCounters::silent);
    }
}

void Gateway::Impl::displace_oldest() {
    if (pending.empty()) return;
    pending.pop_front();
    count(&GatewayCounters::displaced);
}

void Gateway::Impl::accept_memory() {
    for (int i = 0; i < kAcceptsPerRound; ++i) {
        UniqueFd fd(::accept4(tcp.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) return;
            displace_oldest();
            accept_pause = Deadline::after(kAcceptPause);
            return;
        }
        if (pending.size() >= limits.pending) displace_oldest();
        count(&GatewayCounters::accepted);
        std::string address = tcp_peer_address(fd.get()).value_or("unknown");
        pending.push_back({.fd = std::move(fd),
                           .deadline = Deadline::after(limits.hello_timeout),
                           .address = std::move(address)});
    }
}

void Gateway::Impl::accept_monitor() {
    UniqueFd monitor(::accept4(local.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!monitor) return;
    auto registration = read_registration(monitor.get());
    const std::string answer = registration ? std::string(kRegistered)
                                            : fmt::format("{} {}", errc_name(registration.error().code()),
                                                          registration.error().message());
    const auto sent = send_message(monitor.get(), answer, {}, Deadline::after(kMonitorTimeout));
    if (!registration || !sent) {
        log.error("a session was not registered: {}",
                  (registration ? sent.error() : registration.error()).message());
        return;
    }
    log.info("session {} begins, connections: {}", short_name(registration->id), registration->connections);
    sessions.add(*std::move(registration), std::move(monitor));
}

Result<Registration> Gateway::Impl::read_registration(int monitor) const {
    KZ_TRY(const PeerCredentials who, unix_peer_credentials(monitor));
    if (who.uid != 0 && who.uid != ::geteuid())
        return fail(Errc::permission, "user {} may not register sessions", who.uid);
    KZ_TRY(Message message, receive_message(monitor, Deadline::after(kMonitorTimeout)));
    const Secret bytes(as_bytes(message.text));
    std::ranges::fill(message.text, '\0');
    KZ_TRY(Registration registration, decode_registration(bytes.view()));
    KZ_CHECK(sessions.check_room(registration.id));
    return registration;
}

// Refused connections are counted, and told in one line per interval: whoever sends many shall not fill the
// log.
void Gateway::Impl::report(bool now) {
    const GatewayCounters total = snapshot();
    if (refused(total) == refused(reported)) return;
    if (!next_report) next_report = Deadline::after(limits.report_interval);
    if (!now && !next_report->passed()) return;
    log.info(
        "refused {} connections; since the start: {} silent, {} displaced, {} malformed, {} of unknown "
        "sessions, {} with a wrong proof, {} of repeated channels, {} closed early",
        refused(total) - refused(reported), total.silent, total.displaced, total.malformed,
        total.unknown_session, total.wrong_proof, total.repeated_channel, total.ended);
    reported = total;
    next_report.reset();
}

Result<void> Gateway::Impl::run(int stop_fd) {
    KZ_CHECK(set_nonblocking(tcp.get(), true));
    KZ_CHECK(set_nonblocking(local.get(), true));
    while (true) {
        Round round = prepare(stop_fd);
        KZ_TRY(const bool any, wait(round));
        if (any && round.at(kStop) != 0) break;
        if (any) {
            end_sessions(round);
            read_hellos(round);
            if (round.at(kLocal) != 0) accept_monitor();
            if (round.at(kTcp) != 0) accept_memory();
        }
        drop_silent();
        report(false);
    }
    report(true);
    return {};
}

Gateway::Gateway(UniqueFd tcp_listener, UniqueFd unix_listener, GatewayLimits limits, Log& log)
    : impl_(std::make_unique<Impl>(std::move(tcp_listener), std::move(unix_listener), limits, log)) {}
Gateway::~Gateway() = default;

Result<void> Gateway::run(int stop_fd) {
    return impl_->run(stop_fd);
}

GatewayCounters Gateway::counters() const {
    return impl_->snapshot();
}

}  // namespace kz::migrate
