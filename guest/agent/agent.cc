#include "agent.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#ifndef KZ_VERSION
#error "KZ_VERSION is set by the build"
#endif

namespace kzagent {

using kz::agent::FrameType;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr milliseconds kAbsentLook{100};    // whether somebody holds the host's end again
constexpr milliseconds kStartingLook{250};  // whether the guest has become usable
constexpr milliseconds kSettle{300};        // addresses change in groups
constexpr seconds kLongest{3600};
constexpr seconds kDyingTime{5};
constexpr std::uint64_t kLongestFreeze = 600;

}  // namespace

Agent::Agent(Port port, kz::UniqueFd signals)
    : port_(std::move(port)),
      signals_(std::move(signals)),
      addresses_(address_watch()),
      look_at_(Clock::now()) {
    port_.send_mark();
    port_.send(FrameType::announce, 0, 0, {});
}

Agent::~Agent() {
    end_sessions();
}

bool Agent::run() {
    while (!stop_) {
        wait();
        if (!port_.flush()) return false;
        if (!read_port()) return false;
        reap();
        keep_time();
        for (Session& session : sessions_)
            session.work(port_);
        sessions_.remove_if([](const Session& session) { return session.over(); });
        if (connected_ && Clock::now() >= look_at_) look_at_guest();
    }
    return true;
}

Agent::Clock::time_point Agent::next_moment() const {
    Clock::time_point next = Clock::now() + kLongest;
    if (absent_) next = std::min(next, Clock::now() + kAbsentLook);
    if (connected_) next = std::min(next, look_at_);
    if (freezer_.frozen()) next = std::min(next, freezer_.until());
    for (const Dying& each : dying_)
        next = std::min(next, each.kill_at);
    return next;
}

void Agent::wait() {
    const auto output = static_cast<short>(port_.has_output() ? POLLOUT : 0);
    // A port whose other end nobody holds reports that without end.
    std::vector<pollfd> polled{{absent_ ? -1 : port_.fd(), static_cast<short>(POLLIN | output), 0},
                               {signals_.get(), POLLIN, 0},
                               {addresses_.get(), POLLIN, 0}};
    for (const Session& session : sessions_)
        session.add_polled(port_, polled);
    const auto left = std::chrono::ceil<milliseconds>(next_moment() - Clock::now()).count();
    ::poll(polled.data(), polled.size(), static_cast<int>(std::max<long long>(left, 0)));
    const bool hung_up = (polled[0].revents & (POLLHUP | POLLERR)) != 0;
    if (hung_up && (polled[0].revents & POLLIN) == 0) lose_host();
    if (polled[2].revents != 0) {
        drain(addresses_.get());
        look_at_ = std::min(look_at_, Clock::now() + kSettle);
    }
}

void Agent::lose_host() {
    if (!absent_) end_sessions();
    absent_ = true;
    connected_ = false;
    port_.drop_output();
}

bool Agent::read_port() {
    const Port::Input input = port_.read_some(reader_);
    if (input == Port::Input::gone) return false;
    if (input == Port::Input::ended) {
        lose_host();
        return true;
    }
    if (absent_ && input == Port::Input::none) {
        pollfd polled{port_.fd(), POLLIN, 0};
        ::poll(&polled, 1, 0);
        if ((polled.revents & (POLLHUP | POLLERR)) != 0) return true;
    }
    absent_ = false;
    kz::agent::Frame frame;
    while (true) {
        switch (reader_.next(frame)) {
            case kz::agent::FrameReader::Event::none:
                return true;
            case kz::agent::FrameReader::Event::lost:
                end_sessions();
                connected_ = false;
                break;
            case kz::agent::FrameReader::Event::frame:
                take(frame);
                break;
        }
    }
}

void Agent::take(const kz::agent::Frame& frame) {
    bool good = false;
    if (frame.type == FrameType::hello) {
        const auto hello = kz::agent::decode_hello(frame.payload);
        good = hello.has_value();
        if (good) greet(*hello);
    } else if (connected_ && frame.type == FrameType::open) {
        open(frame);
        good = true;
    } else if (connected_ && frame.type == FrameType::call) {
        call(frame);
        good = true;
    } else if (connected_) {
        good = take_in_session(frame);
    } else {
        good = true;  // of a connection that is over
    }
    if (good) return;
    end_sessions();
    connected_ = false;
    port_.send_mark();
    port_.send(FrameType::announce, 0, 0, {});
}

void Agent::greet(const kz::agent::Hello& hello) {
    // Before anything else.
    if (hello.set_clock) set_clock(hello.clock_ns);
    end_sessions();
    nonce_ = hello.nonce;
    connected_ = true;
    noticed_.reset();
    look_at_ = Clock::now();
    // What was said to somebody else.
    port_.drop_output();
    port_.send_mark();
    const kz::agent::Welcome welcome{std::min(hello.version, kz::agent::kProtocolVersion), hello.nonce,
                                     "kz-agent " KZ_VERSION};
    port_.send(FrameType::welcome, 0, 0, kz::agent::encode(welcome));
}

void Agent::open(const kz::agent::Frame& frame) {
    const auto refuse = [&](const std::string& why) {
        port_.send(FrameType::failed, frame.session, 0, kz::agent::encode_text(why));
    };
    const auto request = kz::agent::decode_open(frame.payload);
    const bool taken = std::ranges::any_of(
        sessions_, [&](const Session& session) { return session.number() == frame.session; });
    if (!request || taken) return refuse("the agent in the zone did not understand");
    if (sessions_.size() >= kz::agent::kMaxSessions) return refuse("too many sessions");
    Spawned spawned = spawn_session(*request);
    if (!spawned.error.empty()) return refuse(spawned.error);
    port_.send(FrameType::opened, frame.session, 0, kz::agent::encode_text(spawned.child.terminal));
    sessions_.emplace_back(frame.session, std::move(spawned.child));
}

bool Agent::take_in_session(const kz::agent::Frame& frame) {
    for (Session& session : sessions_) {
        if (session.number() == frame.session) return obey(session, frame);
    }
    // It has ended meanwhile.
    return true;
}

bool Agent::obey(Session& session, const kz::agent::Frame& frame) {
    switch (frame.type) {
        case FrameType::data: {
            std::string payload = frame.payload;
            kz::agent::mask(payload, nonce_);
            return frame.stream == 0 && session.take_data(payload);
        }
        case FrameType::end:
            session.take_end(port_);
            return true;
        case FrameType::credit: {
            const auto bytes = kz::agent::decode_number(frame.payload);
            return bytes && session.take_credit(frame.stream, *bytes);
        }
        case FrameType::resize: {
            const auto size = kz::agent::decode_window_size(frame.payload);
            if (size) session.resize(*size);
            return size.has_value();
        }
        case FrameType::signal: {
            const auto number = kz::agent::decode_signal(frame.payload);
            if (number) session.signal(*number);
            return number.has_value();
        }
        case FrameType::close:
            hang_up(session);
            return true;
        default:
            return false;
    }
}

void Agent::call(const kz::agent::Frame& frame) {
    const auto request = kz::agent::decode_call(frame.payload);
    kz::agent::Answer answer{ENOSYS, 0, "not known to this agent"};
    if (request) {
        switch (request->operation) {
            case kz::agent::Operation::ping:
                answer = {};
                break;
            case kz::agent::Operation::set_clock:
                answer = set_clock(request->argument);
                break;
            case kz::agent::Operation::freeze:
                answer =
                    freezer_.freeze(seconds(std::clamp<std::uint64_t>(request->argument, 1, kLongestFreeze)));
                break;
            case kz::agent::Operation::thaw:
                answer = freezer_.thaw();
                break;
            case kz::agent::Operation::power_off:
                answer = power_off();
                break;
        }
    }
    port_.send(FrameType::answer, frame.session, 0, kz::agent::encode(answer));
}

void Agent::hang_up(Session& session) {
    session.hang_up();
    // A pid that was waited for may be another's already.
    if (session.program_runs()) dying_.push_back({session.pid(), Clock::now() + kDyingTime});
}

void Agent::end_sessions() {
    for (Session& session : sessions_)
        hang_up(session);
    sessions_.clear();
    // The host that had asked for it is gone.
    freezer_.thaw();
}

void Agent::reap() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info)
        stop_ = stop_ || info.ssi_signo == SIGTERM;
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG)) {
        std::erase_if(dying_, [&](const Dying& each) { return each.pid == pid; });
        const bool killed = WIFSIGNALED(status);
        const int value = killed ? WTERMSIG(status) : WEXITSTATUS(status);
        for (Session& session : sessions_) {
            if (session.pid() == pid) session.program_ended({killed, static_cast<std::uint8_t>(value)});
        }
    }
}

void Agent::keep_time() {
    const auto now = Clock::now();
    if (freezer_.frozen() && now >= freezer_.until()) freezer_.thaw();
    std::erase_if(dying_, [&](const Dying& each) {
        if (now < each.kill_at) return false;
        ::kill(-each.pid, SIGKILL);
        return true;
    });
}

void Agent::look_at_guest() {
    kz::agent::Notice notice{is_usable(), addresses()};
    if (notice != noticed_) port_.send(FrameType::notice, 0, 0, kz::agent::encode(notice));
    look_at_ = Clock::now() + (notice.usable ? milliseconds(kLongest) : kStartingLook);
    noticed_ = std::move(notice);
}

}  // namespace kzagent
