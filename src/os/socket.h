// Sockets: unix and TCP, listening, connecting with a deadline, passing descriptors. For every floor that
// talks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "os/deadline.h"
#include "os/paths.h"

namespace kz {

// Binds and listens on a unix stream socket with file mode `mode`, in place of a stale one of the same name.
// Paths may be longer than the 107 bytes of sockaddr_un: they are reached through /proc/self/fd.
Result<UniqueFd> unix_listen(const Path& path, mode_t mode);
Result<UniqueFd> unix_connect(const Path& path, Deadline deadline);
Result<std::pair<UniqueFd, UniqueFd>> unix_socket_pair();

// host: a name or an address, IPv6 without brackets; empty listens on every address. Port 0 lets the kernel
// choose.
Result<UniqueFd> tcp_listen(const std::string& host, std::uint16_t port);
Result<std::uint16_t> tcp_local_port(int fd);
Result<UniqueFd> tcp_connect(const std::string& host, std::uint16_t port, Deadline deadline,
                             int cancel_fd = -1);
// "192.0.2.1" or "2001:db8::1" of the other end.
Result<std::string> tcp_peer_address(int fd);

// The next connection of a listening socket (unix or TCP).
Result<UniqueFd> accept_connection(int listener, Deadline deadline, int cancel_fd = -1);

// TCP_NODELAY, keepalive (a dead peer is noticed within about 15 s) and TCP_USER_TIMEOUT of the same length.
Result<void> tune_tcp(int fd);
// Asks for send and receive buffers of `bytes` each; the kernel may give less.
void set_socket_buffers(int fd, int bytes);

struct PeerCredentials {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};
Result<PeerCredentials> unix_peer_credentials(int fd);

// One message of at most 64 KiB with at most 8 descriptors over a unix stream socket: a 4-byte little-endian
// length, then the bytes; descriptors ride on the length. receive fails with Errc::unavailable at the end of
// the stream.
struct Message {
    std::string text;
    std::vector<UniqueFd> fds;
};
Result<void> send_message(int fd, std::string_view text, std::span<const int> fds, Deadline deadline);
Result<Message> receive_message(int fd, Deadline deadline, int cancel_fd = -1);

}  // namespace kz
