#include "cli/zlogin_session.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "agent/wire.h"
#include "cli/escape.h"
#include "cli/terminal.h"
#include "os/io.h"
#include "os/socket.h"
#include "store/guest_report.h"

namespace kz::cli {
namespace {

using kz::agent::Frame;
using kz::agent::FrameReader;
using kz::agent::FrameType;
using kz::agent::kMaxPayload;
using kz::agent::kWindow;

constexpr std::chrono::seconds kConnectTime{5};
constexpr std::size_t kMaxUnsent = 64 * 1024;
// What a pipe that says that it can be written takes without blocking.
constexpr std::size_t kPipeChunk = 4096;
constexpr std::size_t kFileChunk = 256 * 1024;
constexpr int kStatusError = 1;
constexpr int kStatusSignal = 128;

// The signals that zlogin gets, as a descriptor, while it lives.
class SignalWatch {
  public:
    SignalWatch() {
        ::sigemptyset(&mask_);
        for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH})
            ::sigaddset(&mask_, number);
        ::sigprocmask(SIG_BLOCK, &mask_, &before_);
        fd_.reset(::signalfd(-1, &mask_, SFD_CLOEXEC | SFD_NONBLOCK));
    }
    ~SignalWatch() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;

    int fd() const { return fd_.get(); }
    // 0: none.
    int next() const {
        signalfd_siginfo info{};
        return ::read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
    }

  private:
    sigset_t mask_{};
    sigset_t before_{};
    UniqueFd fd_;
};

kz::agent::WindowSize window_size() {
    winsize window{};
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO}) {
        if (::ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_row > 0) return {window.ws_row, window.ws_col};
    }
    return {};
}

// stdout or stderr: what the zone wrote and nobody has taken yet.
class Output {
  public:
    explicit Output(int fd) : fd_(fd) {
        struct stat status{};
        if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) chunk_ = kFileChunk;
    }
    int fd() const { return fd_; }
    bool pending() const { return !text_.empty(); }
    void add(std::string_view text) { text_.append(text); }
    // False: nobody reads it any more.
    bool write_some() {
        const ssize_t written = ::write(fd_, text_.data(), std::min(text_.size(), chunk_));
        if (written < 0) return errno == EAGAIN || errno == EINTR;
        text_.erase(0, static_cast<std::size_t>(written));
        unacknowledged_ += static_cast<std::uint32_t>(written);
        return true;
    }
    // What may be said to have been taken; 0: too little to say it.
    std::uint32_t take_acknowledged() {
        return unacknowledged_ < kWindow / 4 ? 0 : std::exchange(unacknowledged_, 0);
    }

  private:
    int fd_;
    std::size_t chunk_ = kPipeChunk;
    std::string text_;
    std::uint32_t unacknowledged_ = 0;
};

class ZoneSession {
  public:
    ZoneSession(UniqueFd socket, const SessionOptions& options)
        : socket_(std::move(socket)), options_(options), escape_(options.escape) {}

    int run();

  private:
    bool interactive() const { return options_.command.empty(); }
    void begin();
    Result<void> step();
    void connected(const std::string& terminal);
    void disconnected();
    void take_signals();
    Result<void> send_unsent();
    Result<void> receive();
    Result<void> take(const Frame& frame);
    void read_input();
    void end_input();
    void write_output(Output& output, std::uint8_t stream);
    bool done() const { return left_ || (outcome_ && !out_.pending() && !err_.pending()); }

    UniqueFd socket_;
    const SessionOptions& options_;
    EscapeFilter escape_;
    SignalWatch signals_;
    std::optional<RawTerminal> raw_;
    FrameReader reader_{/*aligned=*/true};
    std::string unsent_;
    Output out_{STDOUT_FILENO};
    Output err_{STDERR_FILENO};
    std::uint32_t credit_ = kWindow;
    bool opened_ = false;
    bool input_ended_ = false;
    bool interrupted_ = false;
    bool left_ = false;  // by the escape, or nobody reads the output
    std::string terminal_;
    std::string failure_;
    std::optional<int> outcome_;
};

void ZoneSession::begin() {
    kz::agent::Open open{options_.kind, options_.user, "", window_size(), options_.command};
    if (interactive()) {
        const char* term = std::getenv("TERM");
        open.term = kz::agent::printable(term != nullptr ? term : "vt100", kz::agent::kMaxName);
    }
    kz::agent::append_frame(unsent_, FrameType::open, 0, 0, kz::agent::encode(open));
}

int ZoneSession::run() {
    begin();
    while (!done()) {
        const Result<void> stepped = step();
        if (stepped) continue;
        failure_ = stepped.error().message();
        break;
    }
    disconnected();
    if (!failure_.empty()) {
        fmt::print(stderr, "zlogin: {}\n", failure_);
        return kStatusError;
    }
    if (left_) return interactive() ? 0 : kStatusError;
    return interactive() ? 0 : outcome_.value_or(kStatusError);
}

void ZoneSession::connected(const std::string& terminal) {
    opened_ = true;
    if (!interactive()) return;
    terminal_ = terminal;
    raw_.emplace();
    fmt::print("[Connected to zone '{}' {}]{}", options_.zone, terminal_, raw_->line_end());
    std::fflush(stdout);
}

void ZoneSession::disconnected() {
    raw_.reset();
    if (opened_ && interactive())
        fmt::print("\n[Connection to zone '{}' {} closed]\n", options_.zone, terminal_);
}

Result<void> ZoneSession::step() {
    const bool reading = opened_ && !input_ended_ && !outcome_ && credit_ > 1 && unsent_.size() < kMaxUnsent;
    const auto wanted = static_cast<short>(unsent_.empty() ? POLLIN : POLLIN | POLLOUT);
    std::array<pollfd, 5> polled{
        pollfd{outcome_ ? -1 : socket_.get(), wanted, 0}, pollfd{signals_.fd(), POLLIN, 0},
        pollfd{reading ? STDIN_FILENO : -1, POLLIN, 0}, pollfd{out_.pending() ? out_.fd() : -1, POLLOUT, 0},
        pollfd{err_.pending() ? err_.fd() : -1, POLLOUT, 0}};
    if (::poll(polled.data(), polled.size(), -1) < 0) return {};
    if (polled[1].revents != 0) take_signals();
    if (polled[2].revents != 0) read_input();
    if (polled[3].revents != 0) write_output(out_, 1);
    if (polled[4].revents != 0) write_output(err_, 2);
    if ((polled[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) KZ_CHECK(receive());
    return send_unsent();
}

// A terminal's keys are characters; who interrupts zlogin otherwise means the command. A second time means
// zlogin.
void ZoneSession::take_signals() {
    for (int number = signals_.next(); number != 0; number = signals_.next()) {
        if (number == SIGWINCH) {
            if (interactive())
                kz::agent::append_frame(unsent_, FrameType::resize, 0, 0, kz::agent::encode(window_size()));
        } else if (interactive() || interrupted_ || !opened_) {
            left_ = true;
        } else {
            interrupted_ = true;
            kz::agent::append_frame(unsent_, FrameType::signal, 0, 0,
                                    std::string(1, static_cast<char>(number)));
        }
    }
}

Result<void> ZoneSession::send_unsent() {
    if (unsent_.empty() || outcome_) return {};
    const ssize_t written =
        ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written > 0) unsent_.erase(0, static_cast<std::size_t>(written));
    // That the monitor is gone is found when it is read.
    return {};
}

Result<void> ZoneSession::receive() {
    std::array<char, 64 * 1024> chunk;
    const ssize_t got = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (got <= 0) return fail(Errc::unavailable, "the zone's monitor has ended the connection");
    reader_.feed({chunk.data(), static_cast<std::size_t>(got)});
    Frame frame;
    while (!outcome_) {
        const FrameReader::Event event = reader_.next(frame);
        if (event == FrameReader::Event::none) return {};
        if (event == FrameReader::Event::lost)
            return fail(Errc::protocol, "the zone's monitor is not understood");
        KZ_CHECK(take(frame));
    }
    return {};
}

Result<void> ZoneSession::take(const Frame& frame) {
    switch (frame.type) {
        case FrameType::opened:
            connected(kz::agent::decode_text(frame.payload).value_or(""));
            return {};
        case FrameType::failed:
            failure_ = kz::agent::decode_text(frame.payload).value_or("the session failed");
            if (!opened_ && failure_.starts_with("no agent"))
                failure_ += "; use its console: zlogin -C " + options_.zone;
            outcome_ = kStatusError;
            return {};
        case FrameType::data:
            (frame.stream == 2 ? err_ : out_).add(frame.payload);
            return {};
        case FrameType::end:
            if (frame.stream == 0) input_ended_ = true;
            return {};
        case FrameType::credit:
            credit_ += kz::agent::decode_number(frame.payload).value_or(0);
            return {};
        case FrameType::exited: {
            const auto exited = kz::agent::decode_exited(frame.payload);
            if (!exited) break;
            outcome_ = exited->by_signal ? kStatusSignal + exited->value : exited->value;
            return {};
        }
        default:
            break;
    }
    return fail(Errc::protocol, "the zone's monitor is not understood");
}

void ZoneSession::end_input() {
    input_ended_ = true;
    kz::agent::append_frame(unsent_, FrameType::end, 0, 0, {});
}

void ZoneSession::read_input() {
    std::array<char, kMaxPayload / 2> chunk;
    const ssize_t got = ::read(STDIN_FILENO, chunk.data(), std::min<std::size_t>(chunk.size(), credit_ - 1));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return end_input();
    std::string typed(chunk.data(), static_cast<std::size_t>(got));
    if (interactive()) typed = escape_.pass(typed);
    left_ = left_ || escape_.ended();
    if (typed.empty()) return;
    // An escape character that was held back may come on top, for which one byte of credit was kept.
    credit_ -= static_cast<std::uint32_t>(typed.size());
    kz::agent::append_frame(unsent_, FrameType::data, 0, 0, typed);
}

void ZoneSession::write_output(Output& output, std::uint8_t stream) {
    left_ = left_ || !output.write_some();
    if (const std::uint32_t bytes = output.take_acknowledged(); bytes > 0)
        kz::agent::append_frame(unsent_, FrameType::credit, 0, stream, kz::agent::encode_number(bytes));
}

}  // namespace

int run_session(const HostPaths& paths, const SessionOptions& options) {
    Result<UniqueFd> socket =
        unix_connect(store::agent_socket(paths, options.zone), Deadline::after(kConnectTime));
    if (!socket) {
        fmt::print(stderr, "zlogin: the zone's monitor does not answer: {}\n", socket.error().message());
        return kStatusError;
    }
    return ZoneSession(std::move(*socket), options).run();
}

}  // namespace kz::cli
