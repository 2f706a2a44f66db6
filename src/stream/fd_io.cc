#include "stream/fd_io.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "os/deadline.h"
#include "os/io.h"

namespace kz::stream {
namespace {

using Clock = std::chrono::steady_clock;

// Every how many writes the peer is looked at while nothing waits.
constexpr unsigned kLook = 16;

bool would_block(int sys_errno) {
    return sys_errno == EAGAIN || sys_errno == EWOULDBLOCK;
}

std::unexpected<Error> io_failure(int sys_errno, std::string_view what) {
    if (sys_errno == EPIPE || sys_errno == ECONNRESET)
        return fail(Errc::unavailable, "the other end closed the connection");
    return fail_errno(sys_errno, what);
}

Result<void> wait(int fd, short events, std::optional<std::chrono::milliseconds> stall, int cancel_fd,
                  int watch_fd) {
    std::array<pollfd, 3> polled{pollfd{fd, events, 0}, pollfd{cancel_fd, POLLIN, 0}, pollfd{watch_fd, 0, 0}};
    const Deadline deadline = stall ? Deadline::after(*stall) : Deadline::never();
    while (true) {
        const int ready = ::poll(polled.data(), polled.size(), deadline.poll_timeout());
        if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
        if (ready > 0 && polled[1].revents != 0) return fail(Errc::cancelled, "cancelled");
        if (ready > 0 && polled[0].revents != 0) return {};
        if (ready > 0) return fail(Errc::unavailable, "the other end closed the connection");
        if (deadline.passed()) return fail(Errc::timeout, "no progress for {} ms", stall->count());
    }
}

}  // namespace

Result<FdInput> FdInput::create(int fd, const PumpRules& rules) {
    KZ_CHECK(set_nonblocking(fd, true));
    return FdInput(fd, rules);
}

void FdInput::want(std::size_t bytes) {
    const int low_water = static_cast<int>(std::min(bytes, kMaxRecordSize));
    if (low_water == low_water_) return;
    low_water_ = low_water;
    // Only an optimisation: a descriptor that does not know it is read as soon as there is anything.
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof low_water);
}

Result<std::size_t> FdInput::read(MutableBytes out, int watch_fd) {
    KZ_CHECK(wait(fd_, POLLIN, rules_.input_stall, rules_.cancel_fd, watch_fd));
    std::size_t filled = 0;
    while (filled < out.size()) {
        const ssize_t got = ::read(fd_, out.data() + filled, out.size() - filled);
        if (got > 0) {
            filled += static_cast<std::size_t>(got);
        } else if (got == 0) {
            return filled;
        } else if (would_block(errno)) {
            if (filled != 0) return filled;
            KZ_CHECK(wait(fd_, POLLIN, rules_.input_stall, rules_.cancel_fd, watch_fd));
        } else if (errno != EINTR) {
            return io_failure(errno, "read");
        }
    }
    return filled;
}

Result<FdOutput> FdOutput::create(int fd, const PumpRules& rules) {
    struct stat status{};
    if (::fstat(fd, &status) != 0) return fail_errno(errno, "fstat");
    KZ_CHECK(set_nonblocking(fd, true));
    return FdOutput(fd, rules, S_ISSOCK(status.st_mode));
}

Result<void> FdOutput::write(ByteView bytes) {
    if (rules_.limiter != nullptr) {
        const auto start = Clock::now();
        KZ_CHECK(rules_.limiter->acquire(bytes.size(), rules_.cancel_fd));
        waits_.link += Clock::now() - start;
    }
    if (++writes_ % kLook == 0) peer_.look();
    while (!bytes.empty()) {
        const ssize_t done = is_socket_ ? ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL)
                                        : ::write(fd_, bytes.data(), bytes.size());
        if (done >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(done));
        } else if (would_block(errno)) {
            KZ_CHECK(wait_for_room());
        } else if (errno != EINTR) {
            return io_failure(errno, "write");
        }
    }
    return {};
}

Result<void> FdOutput::wait_for_room() {
    peer_.look();
    const auto start = Clock::now();
    KZ_CHECK(wait(fd_, POLLOUT, rules_.output_stall, rules_.cancel_fd, -1));
    const std::chrono::nanoseconds waited = Clock::now() - start;
    const std::chrono::nanoseconds lag = peer_.lag_in(waited);
    waits_.peer += lag;
    waits_.link += waited - lag;
    return {};
}

}  // namespace kz::stream
