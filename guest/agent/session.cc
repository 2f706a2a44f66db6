#include "session.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <algorithm>
#include <cerrno>

namespace kzagent {

using kz::agent::FrameType;
using kz::agent::kMaxPayload;
using kz::agent::kWindow;

namespace {
constexpr std::uint32_t kMostCredit = 64 * 1024 * 1024;
constexpr const char kEndOfFile = 4;  // ^D
}  // namespace

int Session::output_fd(std::uint8_t stream) const {
    if (has_terminal()) return stream == 1 ? child_.in.get() : -1;
    return stream == 1 ? child_.out.get() : child_.err.get();
}

bool Session::take_data(const std::string& payload) {
    if (input_ended_ || payload.size() > input_credit_) return false;
    input_credit_ -= static_cast<std::uint32_t>(payload.size());
    input_ += payload;
    return true;
}

void Session::take_end(Port& port) {
    if (has_terminal() && !input_ended_) input_ += kEndOfFile;
    input_ended_ = true;
    write_input(port);
}

bool Session::take_credit(std::uint8_t stream, std::uint32_t bytes) {
    if (stream == 0) return false;
    Output& output = outputs_[stream - 1];
    if (bytes > kMostCredit || output.credit > kMostCredit - bytes) return false;
    output.credit += bytes;
    return true;
}

void Session::resize(kz::agent::WindowSize size) const {
    winsize window{};
    window.ws_row = size.rows;
    window.ws_col = size.columns;
    if (has_terminal()) ::ioctl(child_.in.get(), TIOCSWINSZ, &window);
}

void Session::signal(int number) const {
    if (!exited_ && child_.pid > 1) ::kill(-child_.pid, number);
}

void Session::hang_up() {
    signal(SIGHUP);
    signal(SIGCONT);
    child_.in.reset();
    child_.out.reset();
    child_.err.reset();
    over_ = true;
}

bool Session::wants_output(std::uint8_t stream, const Port& port) const {
    const Output& output = outputs_[stream - 1];
    return output_fd(stream) >= 0 && !output.ended && output.credit > 0 && port.has_room();
}

void Session::add_polled(const Port& port, std::vector<pollfd>& polled) const {
    for (const std::uint8_t stream : {std::uint8_t{1}, std::uint8_t{2}}) {
        if (wants_output(stream, port)) polled.push_back({output_fd(stream), POLLIN, 0});
    }
    if (child_.in && !input_.empty()) polled.push_back({child_.in.get(), POLLOUT, 0});
}

void Session::end_output(std::uint8_t stream, Port& port) {
    if (outputs_[stream - 1].ended) return;
    outputs_[stream - 1].ended = true;
    port.send(FrameType::end, number_, stream, {});
}

void Session::read_output(std::uint8_t stream, Port& port) {
    Output& output = outputs_[stream - 1];
    std::array<char, kMaxPayload> chunk;
    while (wants_output(stream, port)) {
        const ssize_t got =
            ::read(output_fd(stream), chunk.data(), std::min<std::size_t>(chunk.size(), output.credit));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) {
            // The program has ended, and whoever holds the other end beside it is not waited for.
            if (exited_) end_output(stream, port);
            return;
        }
        // EIO: the last of a terminal's programs has ended.
        if (got <= 0) return end_output(stream, port);
        output.credit -= static_cast<std::uint32_t>(got);
        port.send(FrameType::data, number_, stream, {chunk.data(), static_cast<std::size_t>(got)});
    }
}

void Session::give_credit(std::size_t consumed, Port& port) {
    ungiven_credit_ += consumed;
    if (ungiven_credit_ < kWindow / 4) return;
    port.send(FrameType::credit, number_, 0,
              kz::agent::encode_number(static_cast<std::uint32_t>(ungiven_credit_)));
    input_credit_ += static_cast<std::uint32_t>(ungiven_credit_);
    ungiven_credit_ = 0;
}

void Session::write_input(Port& port) {
    std::size_t done = 0;
    while (child_.in && !input_refused_ && done < input_.size()) {
        const ssize_t written = ::write(child_.in.get(), input_.data() + done, input_.size() - done);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN) break;
        if (written <= 0) {
            input_refused_ = true;
            port.send(FrameType::end, number_, 0, {});
            if (!has_terminal()) child_.in.reset();
            break;
        }
        done += static_cast<std::size_t>(written);
    }
    if (input_refused_ || !child_.in) done = input_.size();
    input_.erase(0, done);
    give_credit(done, port);
    if (input_ended_ && input_.empty() && !has_terminal()) child_.in.reset();
}

void Session::work(Port& port) {
    if (over_) return;
    write_input(port);
    for (const std::uint8_t stream : {std::uint8_t{1}, std::uint8_t{2}}) {
        if (output_fd(stream) < 0) outputs_[stream - 1].ended = true;
        read_output(stream, port);
    }
    if (!exited_ || !outputs_[0].ended || !outputs_[1].ended) return;
    port.send(FrameType::exited, number_, 0, kz::agent::encode(*exited_));
    child_.in.reset();
    over_ = true;
}

}  // namespace kzagent
