#include "monitor/agent.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "crypto/random.h"
#include "os/socket.h"

namespace kz::monitor {

using kz::agent::Answer;
using kz::agent::Frame;
using kz::agent::FrameReader;
using kz::agent::FrameType;
using kz::agent::Operation;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

namespace {

constexpr std::size_t kMaxClients = kz::agent::kMaxSessions;
constexpr std::size_t kMaxCalls = 64;
constexpr std::size_t kChunk = 64 * 1024;
constexpr seconds kPatience{5};
// A hello that nobody answers is said again; a guest that asks for it again and again does not keep us busy.
constexpr milliseconds kHelloAgain{3000};
constexpr milliseconds kHelloPause{100};
constexpr std::uint32_t kClockCall = 1;
constexpr milliseconds kClockSlack{10};
constexpr unsigned kClockTries = 4;

bool would_block() {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

std::uint64_t wall_clock_ns() {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

}  // namespace

Agent::Agent(Options options, UniqueFd listener, EventFd wake)
    : paths_(std::move(options.paths)),
      zone_(std::move(options.zone)),
      log_(options.log),
      listener_(std::move(listener)),
      wake_(std::move(wake)) {}

Result<std::unique_ptr<Agent>> Agent::open(Options options) {
    KZ_TRY(UniqueFd listener, unix_listen(store::agent_socket(options.paths, options.zone), 0600));
    KZ_TRY(EventFd wake, EventFd::create());
    KZ_CHECK(store::remove_guest_report(options.paths, options.zone));
    std::unique_ptr<Agent> agent(new Agent(std::move(options), std::move(listener), std::move(wake)));
    agent->thread_ = std::jthread([raw = agent.get()](const std::stop_token& stop) { raw->run(stop); });
    return agent;
}

Agent::~Agent() {
    detach("the zone's monitor has ended");
    thread_.request_stop();
    wake_.signal();
    if (thread_.joinable()) thread_.join();
    ::unlink(store::agent_socket(paths_, zone_).c_str());
}

void Agent::attach(UniqueFd port) {
    const std::lock_guard lock(mutex_);
    if (port && !set_nonblocking(port.get(), true)) port.reset();
    port_ = std::move(port);
    ++machine_;
    port_open_ = false;
    wake_.signal();
}

void Agent::detach(const std::string& why) {
    const std::lock_guard lock(mutex_);
    sessions_.end(why);
    port_.reset();
    port_open_ = false;
    hello_at_.reset();
    clock_due_ = false;
    clock_call_.reset();
    ++machine_;
    own_report_.reset();
    other_report_.reset();
    for (Client& client : clients_) {
        if (client.waiting) refuse(client, why);
    }
    publish();
    wake_.signal();
    changed_.notify_all();
}

void Agent::port_changed(bool open) {
    const std::lock_guard lock(mutex_);
    hello_outstanding_ = false;
    port_open_ = open && port_;
    if (port_open_) {
        hello_at_ = Clock::now();
    } else {
        sessions_.end("the agent in the zone has ended");
        hello_at_.reset();
        own_report_.reset();
        clock_call_.reset();
        publish();
    }
    wake_.signal();
    changed_.notify_all();
}

void Agent::set_clock() {
    const std::lock_guard lock(mutex_);
    if (!port_) return;
    clock_due_ = true;
    wake_.signal();
}

bool Agent::connected() const {
    const std::lock_guard lock(mutex_);
    return sessions_.connected();
}

void Agent::other_report(const std::optional<store::GuestReport>& report) {
    const std::lock_guard lock(mutex_);
    other_report_ = report;
    publish();
    changed_.notify_all();
}

Result<std::uint64_t> Agent::call(Operation operation, std::uint64_t argument, Deadline deadline) {
    std::unique_lock lock(mutex_);
    if (!sessions_.connected()) return fail(Errc::unavailable, "no agent answers in the zone");
    if (calls_.size() >= kMaxCalls) return fail(Errc::busy, "too much is asked of the agent in the zone");
    const std::uint32_t number = ++last_call_;
    calls_.emplace(number, std::nullopt);
    sessions_.call(number, {operation, argument});
    wake_.signal();
    const auto answered = [&] { return calls_[number].has_value() || !sessions_.connected(); };
    changed_.wait_for(lock, milliseconds(std::max(deadline.poll_timeout(), 0)), answered);
    const std::optional<Answer> answer = std::move(calls_[number]);
    calls_.erase(number);
    if (!answer && sessions_.connected()) return fail(Errc::timeout, "the agent in the zone does not answer");
    if (!answer) return fail(Errc::unavailable, "the agent in the zone has ended");
    if (answer->error != 0) {
        const Error error = Error::from_errno(static_cast<int>(answer->error & 0xfff), "");
        return fail(error.code(), "the agent in the zone: {}", answer->text);
    }
    return answer->value;
}

Result<void> Agent::wait_until_usable(Deadline deadline) {
    constexpr milliseconds kStep{200};
    std::unique_lock lock(mutex_);
    const unsigned machine = machine_;
    while (true) {
        if (machine_ != machine) return fail(Errc::unavailable, "the zone has ended");
        const auto& report = own_report_ ? own_report_ : other_report_;
        if (report && report->usable) return {};
        if (deadline.passed()) {
            return fail(Errc::timeout, "{}",
                        report ? "the zone has not come up" : "no agent in the zone has said that it is up");
        }
        changed_.wait_for(lock, kStep);
    }
}

// What `zoneadm list` shows.
void Agent::publish() {
    const auto& report = own_report_ ? own_report_ : other_report_;
    if (report == published_) return;
    published_ = report;
    const Result<void> done =
        report ? store::save_guest_report(paths_, zone_, *report) : store::remove_guest_report(paths_, zone_);
    if (!done) log_.error("what the guest says of itself: {}", done.error().message());
}

int Agent::poll_timeout() const {
    Deadline next = Deadline::never();
    const auto until = [](Clock::time_point moment) {
        return Deadline::after(
            std::max(std::chrono::ceil<milliseconds>(moment - Clock::now()), milliseconds(0)));
    };
    if (hello_at_ && port_open_) next = next.earlier(until(*hello_at_));
    for (const Client& client : clients_) {
        if (client.waiting || (client.session == 0 && !client.refused))
            next = next.earlier(until(client.since + kPatience));
    }
    return next.poll_timeout();
}

// Builds the poll set under the lock, waits without it.
void Agent::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        std::vector<pollfd> polled{{listener_.get(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}};
        std::vector<Client*> order;
        int timeout = -1;
        {
            const std::lock_guard lock(mutex_);
            std::erase_if(clients_, [&](const Client& client) {
                if (client.gone && client.session != 0) sessions_.close(client.session);
                return client.gone;
            });
            const bool full = sessions_.to_port().size() > AgentSessions::kPortRoom;
            const auto wanted = static_cast<short>(sessions_.to_port().empty() ? POLLIN : POLLIN | POLLOUT);
            polled.push_back({port_.get(), wanted, 0});
            for (Client& client : clients_) {
                const AgentSessions::Session* session = sessions_.find(client.session);
                const bool pending =
                    !client.refusal.empty() || (session != nullptr && !session->to_client.empty());
                const bool reading = !client.waiting && !full;
                polled.push_back({client.fd.get(),
                                  static_cast<short>((reading ? POLLIN : 0) | (pending ? POLLOUT : 0)), 0});
                order.push_back(&client);
            }
            timeout = poll_timeout();
        }
        if (::poll(polled.data(), polled.size(), timeout) < 0) continue;
        const std::lock_guard lock(mutex_);
        if (polled[1].revents != 0) wake_.reset();
        for (std::size_t i = 0; i < order.size(); ++i)
            serve_client(*order[i], polled[3 + i].revents);
        serve_port(polled[2].revents);
        look_at_waiting();
        for (Client* client : order)
            write_client(*client);
        if (polled[0].revents != 0) accept_client();
        changed_.notify_all();
    }
}

// attach() may have replaced the port since it was polled; reading does not block, so that a stale hint does
// no harm.
void Agent::serve_port(short events) {
    if (events != 0) read_port();
    if (hello_at_ && port_open_ && Clock::now() >= *hello_at_) hello();
    if (clock_due_ && sessions_.connected() && !clock_call_) ask_clock(0);
    write_port();
}

void Agent::read_port() {
    std::array<char, kChunk> chunk;
    const ssize_t got = port_ ? ::read(port_.get(), chunk.data(), chunk.size()) : -1;
    if (got > 0) {
        act_on(sessions_.feed({chunk.data(), static_cast<std::size_t>(got)}));
    } else if (port_ && (got == 0 || !would_block())) {
        // QEMU has ended.
        port_.reset();
        port_open_ = false;
        sessions_.end("the zone's machine has ended");
    }
}

void Agent::write_port() {
    std::string& out = sessions_.to_port();
    while (port_ && !out.empty()) {
        const ssize_t written =
            write_without_signal(port_.get(), as_bytes(out).first(std::min(out.size(), kChunk)));
        if (written <= 0) return;
        out.erase(0, static_cast<std::size_t>(written));
    }
}

void Agent::act_on(const AgentSessions::Happened& happened) {
    if (happened.connected) {
        log_.info("agent: {}", sessions_.agent());
        own_report_ = store::GuestReport{sessions_.agent(), false, {}};
        hello_at_.reset();
        hello_outstanding_ = false;
        if (clock_in_hello_) ask_clock(1);
    }
    if (happened.notice && own_report_) {
        own_report_->usable = happened.notice->usable;
        own_report_->addresses.clear();
        for (const kz::agent::Address& each : happened.notice->addresses)
            own_report_->addresses.push_back({each.interface, each.address});
    }
    for (const auto& [number, answer] : happened.answers) {
        if (number == kClockCall) clock_answered(answer);
        if (const auto asked = calls_.find(number); asked != calls_.end()) asked->second = answer;
    }
    // An agent that has just started may say so after it was greeted.
    if (happened.wants_hello && !hello_outstanding_) {
        own_report_.reset();
        clock_call_.reset();
        hello_at_ = Clock::now() + kHelloPause;
    }
    publish();
}

void Agent::hello() {
    hello_at_ = Clock::now() + kHelloAgain;
    // Nobody has read the one before: another would say no more.
    if (!sessions_.to_port().empty() && !sessions_.connected()) return;
    std::array<Byte, 8> nonce{};
    if (!crypto::fill_random(nonce)) return;
    clock_in_hello_ = clock_due_;
    hello_outstanding_ = true;
    sessions_.begin(load_le<std::uint64_t>(nonce.data()),
                    clock_due_ ? std::optional(wall_clock_ns()) : std::nullopt);
}

void Agent::ask_clock(unsigned tries) {
    const Clock::duration half = clock_call_ ? (Clock::now() - clock_call_->sent) / 2 : Clock::duration{};
    clock_due_ = false;
    clock_in_hello_ = false;
    clock_call_ = ClockCall{Clock::now(), tries};
    const auto ahead = static_cast<std::uint64_t>(std::chrono::duration_cast<nanoseconds>(half).count());
    sessions_.call(kClockCall, {Operation::set_clock, wall_clock_ns() + ahead});
}

// The guest has taken the time that it was sent, at some moment since then.
void Agent::clock_answered(const Answer& answer) {
    if (!clock_call_) return;
    const auto way = std::chrono::duration_cast<nanoseconds>(Clock::now() - clock_call_->sent);
    if (answer.error != 0) {
        log_.error("setting the guest's clock: {}", answer.text);
    } else if (way / 2 > kClockSlack && clock_call_->tries < kClockTries) {
        return ask_clock(clock_call_->tries + 1);
    } else {
        log_.info("the guest's clock was set, within {} ms",
                  std::chrono::ceil<milliseconds>(way / 2).count());
    }
    clock_call_.reset();
}

void Agent::accept_client() {
    Result<UniqueFd> fd = accept_connection(listener_.get(), Deadline::after(milliseconds(0)));
    if (!fd || clients_.size() >= kMaxClients) return;
    const Result<PeerCredentials> peer = unix_peer_credentials(fd->get());
    if (!peer || (peer->uid != 0 && peer->uid != ::geteuid())) return;
    if (!set_nonblocking(fd->get(), true)) return;
    Client& client = clients_.emplace_back();
    client.fd = std::move(*fd);
}

void Agent::serve_client(Client& client, short events) {
    if (client.gone || (events & (POLLIN | POLLHUP | POLLERR)) == 0) return;
    if (client.waiting) {
        client.gone = (events & (POLLHUP | POLLERR)) != 0;
        return;
    }
    std::array<char, kChunk> chunk;
    const ssize_t got = ::read(client.fd.get(), chunk.data(), chunk.size());
    if (got == 0 || (got < 0 && !would_block())) client.gone = true;
    if (got <= 0) return;
    client.reader.feed({chunk.data(), static_cast<std::size_t>(got)});
    take_from_client(client);
}

void Agent::take_from_client(Client& client) {
    Frame frame;
    while (!client.gone && !client.waiting) {
        const FrameReader::Event event = client.reader.next(frame);
        if (event == FrameReader::Event::none) return;
        if (event == FrameReader::Event::lost) {
            client.gone = true;
        } else if (client.session != 0) {
            client.gone = !sessions_.take_from_client(client.session, frame);
        } else if (frame.type == FrameType::open && !client.refused) {
            client.waiting = kz::agent::decode_open(frame.payload);
            client.gone = !client.waiting;
            client.since = Clock::now();
        } else {
            client.gone = true;
        }
    }
}

void Agent::start_session(Client& client) {
    client.session = sessions_.open(*client.waiting);
    client.waiting.reset();
    take_from_client(client);
}

void Agent::refuse(Client& client, const std::string& why) {
    client.waiting.reset();
    client.refused = true;
    kz::agent::append_frame(client.refusal, FrameType::failed, 0, 0, kz::agent::encode_text(why));
}

void Agent::look_at_waiting() {
    for (Client& client : clients_) {
        const bool late = Clock::now() >= client.since + kPatience;
        if (client.waiting && sessions_.connected()) {
            start_session(client);
        } else if (client.waiting && (late || !port_)) {
            refuse(client, port_ ? "no agent answers in the zone"
                                 : "the zone's machine has no port for an agent before it boots again");
        } else if (late && client.session == 0 && !client.refused) {
            client.gone = true;
        }
    }
    write_port();
}

void Agent::write_client(Client& client) {
    AgentSessions::Session* session = sessions_.find(client.session);
    std::string& out = session != nullptr ? session->to_client : client.refusal;
    while (!client.gone && !out.empty()) {
        const ssize_t written =
            ::send(client.fd.get(), out.data(), std::min(out.size(), kChunk), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (written < 0 && !would_block()) client.gone = true;
        if (written <= 0) return;
        out.erase(0, static_cast<std::size_t>(written));
    }
    // All that there was to say has been said.
    if (session != nullptr ? session->over : client.refused) client.gone = true;
}

}  // namespace kz::monitor
