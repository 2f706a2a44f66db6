// Sessions at the gateway (kz-migrd): how a destination's monitor gets the memory connections of its
// migration, and how the source makes them. For the two sides of a migration. migrate/gateway.h has the wire.
//
// The two sides agree over RAD on a random session id and a random proof key. The destination registers them
// with its kz-migrd; the source connects to port 8102 once per channel and proves the key.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/secret.h"
#include "os/deadline.h"
#include "os/paths.h"
#include "stream/hello.h"

namespace kz::migrate {

inline constexpr std::uint16_t kMigrationPort = 8102;
inline constexpr unsigned kMaxChannels = 256;

using SessionId = stream::SessionId;
inline constexpr std::size_t kProofKeySize = 32;

// A memory connection, proven by both sides. Either side has one and the same nonce, with which it derives
// the channel's keys (stream/keys.h).
struct ChannelConnection {
    UniqueFd fd;  // TCP, tuned (tune_tcp), non-blocking; the next byte is the first of the channel
    unsigned channel = 0;
    std::array<Byte, 16> nonce{};
};

// Destination side. While it lives the gateway takes connections of the session; each channel comes once.
class SessionRegistration {
  public:
    // `proof_key` has kProofKeySize bytes; channels are 0 to connections-1, at most kMaxChannels. Errors:
    // Errc::unavailable when kz-migrd does not run (the message says how to start it), Errc::already_exists
    // for an id that is in use, Errc::busy when the gateway has too many sessions.
    static Result<SessionRegistration> open(const HostPaths& paths, const SessionId& id,
                                            const Secret& proof_key, unsigned connections, Deadline deadline);

    // The next proven connection, in any order of channels. The source hears that its connection was
    // accepted. Errors: Errc::timeout and Errc::cancelled (may be called again), Errc::unavailable when the
    // gateway went away: the migration needs a new session; connections that were received stay good.
    // Errc::io when the source has gone already.
    Result<ChannelConnection> next(Deadline deadline, int cancel_fd = -1);

    // For poll(): readable when next() would not wait.
    int fd() const { return socket_.get(); }

  private:
    SessionRegistration(UniqueFd socket, Secret proof_key, SessionId id, unsigned connections)
        : socket_(std::move(socket)), proof_key_(std::move(proof_key)), id_(id), connections_(connections) {}
    UniqueFd socket_;
    Secret proof_key_;
    SessionId id_;
    unsigned connections_;
};

// Source side: connects a channel and waits until the destination's monitor has accepted it; by then the
// destination has proven the key too. Errors: Errc::permission when the gateway closes the connection without
// a word (unknown session, wrong proof, channel used already), Errc::protocol when the other end does not
// hold the key, Errc::timeout, Errc::cancelled, those of tcp_connect.
Result<ChannelConnection> connect_channel(const std::string& host, std::uint16_t port, const SessionId& id,
                                          const Secret& proof_key, unsigned channel, Deadline deadline,
                                          int cancel_fd = -1);
// The same on a connection that leads to port 8102 of `host` already, such as a tunnel of ssh.
Result<ChannelConnection> prove_channel(UniqueFd connection, const std::string& host, const SessionId& id,
                                        const Secret& proof_key, unsigned channel, Deadline deadline,
                                        int cancel_fd = -1);

}  // namespace kz::migrate
