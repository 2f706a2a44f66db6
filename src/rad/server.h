// HttpServer: the listening side of remote administration. For kz-radd (src/rad/radd.h) and tests.
//
// Theory of operation. Two sockets: TCP port 12302 with TLS 1.3, and the unix socket run/zones/rad.sock
// without TLS, where SO_PEERCRED must say root. One thread per connection, HTTP/1.1 with keep-alive. Over TLS
// a client may show a host key or none; anybody completes the handshake, and who is then not known
// (rad/guard.h) may only log in and is else told how to be known (403).
//
// Until it is known a connection counts as a stranger: strangers have a cap of their own, and for a new one
// an old one is dropped: the oldest of the address that has the most. So a crowd of idle connections keeps
// nobody out, costs a fixed number of threads, and drops out itself.
#pragma once

#include <cstdint>
#include <memory>

#include "base/fd.h"
#include "crypto/tls.h"
#include "rad/exchange.h"
#include "rad/server_limits.h"

namespace kz::rad {

// Since the start.
struct ServerCounters {
    std::uint64_t accepted = 0;
    std::uint64_t displaced = 0;  // strangers dropped for newer ones
    std::uint64_t refused = 0;    // dropped at once: too many threads
};

class HttpServer {
  public:
    // What `desk` refers to outlives the server.
    HttpServer(Desk desk, ServerLimits limits);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    // A TCP socket and its TLS, or a unix socket. Before run().
    void listen_tls(UniqueFd listener, crypto::TlsContext context);
    void listen_unix(UniqueFd listener);

    // Serves until stop_fd is readable; then cancels running handlers and waits for all connections to end.
    Result<void> run(int stop_fd);

    // Connections now, any thread.
    std::size_t connection_count() const;
    ServerCounters counters() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kz::rad
