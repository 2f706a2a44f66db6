// Gateway: the inside of kz-migrd, which accepts memory connections on port 8102 and hands each to the
// monitor that expects it. For src/bin/kz-migrd and its tests; migrations use migrate/session.h.
//
// Theory of operation. The gateway knows no zones and sees no guest's memory: it reads one fixed-size hello
// per connection, checks its proof against the sessions that monitors have registered, and passes the socket
// on. Restarting it ends no migration whose connections are made.
//
// TCP, source -> gateway: the 80-byte hello of stream/hello.h (session id, channel, nonce, proof under the
// session's key). The monitor that gets the socket answers on it, 33 bytes, and then it carries the channel:
//
//     0   1  'K'
//     1  32  HMAC-SHA256 of the hello under HKDF-SHA256(proof key, session id, "kzones hello answer")
//
// The hello's nonce makes the answer fresh, so it proves to the source that the destination holds the key. A
// connection whose hello is not good is closed without a word, as is one that has not sent it within 5 s.
//
// Unix socket run/zones/migrd.sock, root only, messages of os/socket.h (u32 LE length, bytes):
//
//   monitor -> gateway, once, 60 bytes
//     0   4  magic "KZRG"
//     4   4  version u32 LE = 1
//     8   4  connections u32 LE, 1 to 256
//    12  16  session id
//    28  32  proof key
//   gateway -> monitor: the text "ok", or "CODE MESSAGE" and the end;
//   then one message per connection: the hello as it came, and the socket as a descriptor.
//
// The session ends when the monitor closes the socket. Everything is bounded: pending connections (the oldest
// is dropped for a new one), sessions, bytes per hello. Unknown sessions cost nothing but a comparison.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "base/fd.h"
#include "base/log.h"
#include "base/result.h"

namespace kz::migrate {

struct GatewayLimits {
    std::chrono::milliseconds hello_timeout{5000};
    std::size_t pending = 256;
    std::size_t sessions = 64;
    // At most one line about refused connections per this span.
    std::chrono::milliseconds report_interval{1000};
};

// Since the start.
struct GatewayCounters {
    std::uint64_t accepted = 0;     // connections that came in on TCP
    std::uint64_t handed_over = 0;  // to a monitor
    std::uint64_t silent = 0;       // closed for want of a hello in time
    std::uint64_t displaced = 0;    // closed for a newer one
    std::uint64_t malformed = 0;    // not a hello
    std::uint64_t unknown_session = 0;
    std::uint64_t wrong_proof = 0;
    std::uint64_t repeated_channel = 0;  // taken already, or beyond the session's channels
    std::uint64_t ended = 0;             // closed by the other end before the hello
    bool operator==(const GatewayCounters&) const = default;
};

class Gateway {
  public:
    // Takes both listening sockets. `log` outlives it.
    Gateway(UniqueFd tcp_listener, UniqueFd unix_listener, GatewayLimits limits, Log& log);
    ~Gateway();
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    // Serves until stop_fd is readable. Errors are those of poll(2) and accept(2) themselves.
    Result<void> run(int stop_fd);

    // Any thread.
    GatewayCounters counters() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// The program kz-migrd; returns its exit status (0, 1 for failures, 2 for wrong usage).
int gateway_main(int argc, char** argv);

}  // namespace kz::migrate
