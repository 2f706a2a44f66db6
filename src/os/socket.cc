#include "os/socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "os/file.h"
#include "os/io.h"

namespace kz {
namespace {

constexpr std::size_t kMaxMessage = 64 * 1024;
constexpr std::size_t kMaxMessageFds = 8;

// A sockaddr_un that names `path` through an open descriptor of its folder, so that long paths fit.
struct UnixAddress {
    UniqueFd folder;
    sockaddr_un address{};
};

Result<UnixAddress> unix_address(const Path& path) {
    UnixAddress result;
    result.address.sun_family = AF_UNIX;
    std::string name = path.string();
    if (name.size() >= sizeof result.address.sun_path) {
        KZ_TRY(result.folder, open_file(path.parent_path(), O_PATH | O_DIRECTORY));
        name = fmt::format("/proc/self/fd/{}/{}", result.folder.get(), path.filename().string());
    }
    if (name.size() >= sizeof result.address.sun_path)
        return fail(Errc::invalid_argument, "{}: name too long for a socket", path.string());
    std::memcpy(result.address.sun_path, name.c_str(), name.size() + 1);
    return result;
}

const sockaddr* generic(const sockaddr_un& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

struct AddrinfoDeleter {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using AddrinfoList = std::unique_ptr<addrinfo, AddrinfoDeleter>;

Result<AddrinfoList> resolve(const std::string& host, std::uint16_t port, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    const int status =
        ::getaddrinfo(host.empty() ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &list);
    if (status != 0)
        return fail(Errc::unavailable, "cannot resolve host '{}': {}", host, ::gai_strerror(status));
    return AddrinfoList(list);
}

Result<UniqueFd> connect_one(const addrinfo& target, Deadline deadline, int cancel_fd) {
    UniqueFd fd(::socket(target.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail_errno(errno, "socket");
    if (::connect(fd.get(), target.ai_addr, target.ai_addrlen) < 0) {
        if (errno != EINPROGRESS) return fail_errno(errno, "connect");
        KZ_CHECK(wait_writable(fd.get(), deadline, cancel_fd));
        int status = 0;
        socklen_t size = sizeof status;
        if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &status, &size) < 0)
            return fail_errno(errno, "getsockopt");
        if (status != 0) return fail_errno(status, "connect");
    }
    KZ_CHECK(set_nonblocking(fd.get(), false));
    return fd;
}

}  // namespace

Result<UniqueFd> unix_listen(const Path& path, mode_t mode) {
    KZ_TRY(const UnixAddress bound, unix_address(path));
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno(errno, "socket");
    if (::unlink(path.c_str()) < 0 && errno != ENOENT) return fail_errno(errno, path.string());
    if (::bind(fd.get(), generic(bound.address), sizeof bound.address) < 0)
        return fail_errno(errno, path.string());
    if (::chmod(path.c_str(), mode) < 0 || ::listen(fd.get(), 64) < 0)
        return fail_errno(errno, path.string());
    return fd;
}

Result<UniqueFd> unix_connect(const Path& path, Deadline deadline) {
    KZ_TRY(const UnixAddress target, unix_address(path));
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail_errno(errno, "socket");
    while (::connect(fd.get(), generic(target.address), sizeof target.address) < 0) {
        // EAGAIN: the listener's backlog is full; there is nothing to poll for.
        if (errno != EAGAIN && errno != EINTR) return fail_errno(errno, path.string());
        if (deadline.passed()) return fail(Errc::timeout, "{}: nobody accepts the connection", path.string());
        ::usleep(1000);
    }
    KZ_CHECK(set_nonblocking(fd.get(), false));
    return fd;
}

Result<std::pair<UniqueFd, UniqueFd>> unix_socket_pair() {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) < 0)
        return fail_errno(errno, "socketpair");
    return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

Result<UniqueFd> tcp_listen(const std::string& host, std::uint16_t port) {
    // One socket for every address: the IPv6 wildcard takes IPv4 connections too.
    if (host.empty()) {
        auto both = tcp_listen("::", port);
        if (both || both.error().code() == Errc::busy) return both;
    }
    KZ_TRY(const AddrinfoList list, resolve(host, port, AI_PASSIVE));
    std::string last = "no address";
    for (const addrinfo* each = list.get(); each != nullptr; each = each->ai_next) {
        UniqueFd fd(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int on = 1;
        const int off = 0;
        if (fd) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (fd && each->ai_family == AF_INET6)
            ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        if (fd && ::bind(fd.get(), each->ai_addr, each->ai_addrlen) == 0 && ::listen(fd.get(), 256) == 0)
            return fd;
        if (errno == EADDRINUSE) return fail(Errc::busy, "port {} is already in use", port);
        last = strerrordesc_np(errno);
    }
    return fail(Errc::io, "cannot listen on port {}: {}", port, last);
}

Result<std::uint16_t> tcp_local_port(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0)
        return fail_errno(errno, "getsockname");
    if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
    return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

Result<UniqueFd> tcp_connect(const std::string& host, std::uint16_t port, Deadline deadline, int cancel_fd) {
    KZ_TRY(const AddrinfoList list, resolve(host, port, 0));
    Result<UniqueFd> outcome = fail(Errc::unavailable, "no address");
    for (const addrinfo* each = list.get(); each != nullptr; each = each->ai_next) {
        outcome = connect_one(*each, deadline, cancel_fd);
        if (outcome || outcome.error().code() == Errc::cancelled) break;
    }
    if (!outcome)
        return std::unexpected(std::move(outcome).error().context(fmt::format("{}:{}", host, port)));
    return outcome;
}

Result<std::string> tcp_peer_address(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0)
        return fail_errno(errno, "getpeername");
    std::array<char, NI_MAXHOST> name{};
    const int status = ::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, name.data(),
                                     name.size(), nullptr, 0, NI_NUMERICHOST);
    if (status != 0) return fail(Errc::io, "getnameinfo: {}", ::gai_strerror(status));
    // An IPv4 peer of an IPv6 socket.
    constexpr std::string_view kMapped = "::ffff:";
    std::string text(name.data());
    if (text.starts_with(kMapped) && text.find('.') != std::string::npos) text.erase(0, kMapped.size());
    return text;
}

Result<UniqueFd> accept_connection(int listener, Deadline deadline, int cancel_fd) {
    while (true) {
        KZ_CHECK(wait_readable(listener, deadline, cancel_fd));
        UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
        if (fd) return fd;
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) return fail_errno(errno, "accept");
    }
}

Result<void> tune_tcp(int fd) {
    const auto set = [fd](int level, int option, int value) {
        return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
    };
    const bool done = set(IPPROTO_TCP, TCP_NODELAY, 1) && set(SOL_SOCKET, SO_KEEPALIVE, 1) &&
                      set(IPPROTO_TCP, TCP_KEEPIDLE, 5) && set(IPPROTO_TCP, TCP_KEEPINTVL, 2) &&
                      set(IPPROTO_TCP, TCP_KEEPCNT, 5) && set(IPPROTO_TCP, TCP_USER_TIMEOUT, 15000);
    if (!done) return fail_errno(errno, "setsockopt");
    return {};
}

void set_socket_buffers(int fd, int bytes) {
    // The FORCE forms go past the system's limits where we are privileged.
    if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
        ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

Result<PeerCredentials> unix_peer_credentials(int fd) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return fail_errno(errno, "getsockopt");
    return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

Result<void> send_message(int fd, std::string_view text, std::span<const int> fds, Deadline deadline) {
    if (text.size() > kMaxMessage || fds.size() > kMaxMessageFds)
        return fail(Errc::invalid_argument, "message too large");
    std::array<Byte, 4> length{};
    store_le(length.data(), static_cast<std::uint32_t>(text.size()));
    iovec part{length.data(), length.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxMessageFds)> control{};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (!fds.empty()) {
        header.msg_control = control.data();
        header.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
    }
    KZ_CHECK(wait_writable(fd, deadline));
    const ssize_t sent = ::sendmsg(fd, &header, MSG_NOSIGNAL);
    if (sent < 0) return fail_errno(errno, "sendmsg");
    KZ_CHECK(write_all(fd, ByteView(length).subspan(static_cast<std::size_t>(sent)), deadline));
    return write_all(fd, as_bytes(text), deadline);
}

Result<Message> receive_message(int fd, Deadline deadline, int cancel_fd) {
    std::array<Byte, 4> length{};
    iovec part{length.data(), length.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxMessageFds)> control{};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    KZ_CHECK(wait_readable(fd, deadline, cancel_fd));
    ssize_t got = 0;
    do {
        got = ::recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return fail_errno(errno, "recvmsg");
    Message message;
    for (cmsghdr* each = CMSG_FIRSTHDR(&header); each != nullptr; each = CMSG_NXTHDR(&header, each)) {
        if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int received = -1;
            std::memcpy(&received, CMSG_DATA(each) + i * sizeof(int), sizeof received);
            message.fds.emplace_back(received);
        }
    }
    if (got == 0) return fail(Errc::unavailable, "the other end closed the connection");
    if ((header.msg_flags & MSG_CTRUNC) != 0)
        return fail(Errc::protocol, "message with more than {} descriptors", kMaxMessageFds);
    KZ_CHECK(
        read_exact(fd, MutableBytes(length).subspan(static_cast<std::size_t>(got)), deadline, cancel_fd));
    const std::uint32_t size = load_le<std::uint32_t>(length.data());
    if (size > kMaxMessage) return fail(Errc::protocol, "message of {} bytes exceeds the limit", size);
    message.text.resize(size);
    KZ_CHECK(read_exact(fd, {reinterpret_cast<Byte*>(message.text.data()), message.text.size()}, deadline,
                        cancel_fd));
    return message;
}

}  // namespace kz
