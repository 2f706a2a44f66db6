#include "os/io.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace kz {
namespace {

Result<void> wait_for(int fd, short events, Deadline deadline, int cancel_fd) {
    std::array<pollfd, 2> polled{pollfd{fd, events, 0}, pollfd{cancel_fd, POLLIN, 0}};
    while (true) {
        const int ready = ::poll(polled.data(), polled.size(), deadline.poll_timeout());
        if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
        if (ready > 0 && polled[1].revents != 0) return fail(Errc::cancelled, "cancelled");
        if (ready > 0) return {};
        if (deadline.passed()) return fail(Errc::timeout, "timed out");
    }
}

bool would_block() {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

// A pipe has no MSG_NOSIGNAL: SIGPIPE is blocked for this thread during the write, and taken away if it came.
ssize_t write_with_blocked_sigpipe(int fd, ByteView bytes) {
    sigset_t sigpipe;
    sigset_t pending;
    sigset_t previous;
    ::sigemptyset(&sigpipe);
    ::sigaddset(&sigpipe, SIGPIPE);
    ::sigpending(&pending);
    ::pthread_sigmask(SIG_BLOCK, &sigpipe, &previous);
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    const int saved_errno = errno;
    if (written < 0 && saved_errno == EPIPE && ::sigismember(&pending, SIGPIPE) == 0) {
        const timespec at_once{};
        while (::sigtimedwait(&sigpipe, nullptr, &at_once) < 0 && errno == EINTR) {
        }
    }
    ::pthread_sigmask(SIG_SETMASK, &previous, nullptr);
    errno = saved_errno;
    return written;
}

}  // namespace

Result<EventFd> EventFd::create() {
    UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd) return fail_errno(errno, "eventfd");
    return EventFd(std::move(fd));
}

void EventFd::signal() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(fd_.get(), &one, sizeof one);
}

void EventFd::reset() const {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(fd_.get(), &count, sizeof count);
}

Result<void> wait_readable(int fd, Deadline deadline, int cancel_fd) {
    return wait_for(fd, POLLIN, deadline, cancel_fd);
}

Result<void> wait_writable(int fd, Deadline deadline, int cancel_fd) {
    return wait_for(fd, POLLOUT, deadline, cancel_fd);
}

Result<std::size_t> read_some(int fd, MutableBytes buffer, Deadline deadline, int cancel_fd) {
    while (true) {
        KZ_CHECK(wait_readable(fd, deadline, cancel_fd));
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got >= 0) return static_cast<std::size_t>(got);
        if (!would_block()) return fail_errno(errno, "read");
    }
}

Result<void> read_exact(int fd, MutableBytes buffer, Deadline deadline, int cancel_fd) {
    while (!buffer.empty()) {
        KZ_TRY(const std::size_t got, read_some(fd, buffer, deadline, cancel_fd));
        if (got == 0) return fail(Errc::unavailable, "the other end closed the connection");
        buffer = buffer.subspan(got);
    }
    return {};
}

ssize_t write_without_signal(int fd, ByteView bytes) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0 || errno != ENOTSOCK) return sent;
    return write_with_blocked_sigpipe(fd, bytes);
}

Result<void> write_all(int fd, ByteView bytes, Deadline deadline, int cancel_fd) {
    while (!bytes.empty()) {
        KZ_CHECK(wait_writable(fd, deadline, cancel_fd));
        const ssize_t written = write_without_signal(fd, bytes);
        if (written < 0 && !would_block()) {
            if (errno == EPIPE || errno == ECONNRESET)
                return fail(Errc::unavailable, "the other end closed the connection");
            return fail_errno(errno, "write");
        }
        if (written > 0) bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> write_at(int fd, ByteView bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return fail_errno(written < 0 ? errno : EIO, "write");
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    return {};
}

Result<void> set_nonblocking(int fd, bool on) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
        return fail_errno(errno, "fcntl");
    return {};
}

Result<void> set_cloexec(int fd, bool on) {
    if (::fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0) return fail_errno(errno, "fcntl");
    return {};
}

}  // namespace kz
