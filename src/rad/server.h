// HttpServer: the listening side of remote administration. For kz-radd (src/rad/radd.h) and tests.
//
// Theory of operation. Two sockets: TCP port 12302 with TLS 1.3, where a client shows its host key, and the
// unix socket run/zones/rad.sock without TLS, where SO_PEERCRED must say root. One thread per connection,
// HTTP/1.1 with keep-alive. A client whose key is not in authorized_keys completes the handshake and then
// gets 403 with a message that says how to authorise it; the file is read again for each request, so that a
// revoked key ends at once. Until its key has been found authorised a connection counts as a stranger:
// strangers have a cap of their own, and the oldest is dropped for a new one, so that a crowd of idle
// connections keeps nobody out.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "base/fd.h"
#include "base/log.h"
#include "crypto/tls.h"
#include "migrate/peer_http.h"
#include "rad/router.h"

namespace kz::rad {

struct ServerLimits {
    std::size_t connections = 64;  // authorised ones
    std::size_t strangers = 32;    // in the handshake, or not yet found authorised
    std::chrono::milliseconds handshake{10000};
    std::chrono::milliseconds request{10000};  // from a request's first byte to its last
    std::chrono::milliseconds response{10000};
    std::chrono::milliseconds idle{300000};  // between requests
    migrate::HttpLimits message{};
    migrate::HttpLimits stranger_message{.header = 16 * 1024, .body = 64 * 1024};
};

class HttpServer {
  public:
    // The name of an authorised key (may be empty), nothing for others; an error refuses too. Called for each
    // request, from any thread.
    using Authorize = std::function<Result<std::optional<std::string>>(const std::string& fingerprint)>;

    // `router` and `log` outlive the server.
    HttpServer(const Router& router, Authorize authorize, ServerLimits limits, Log& log);
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

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kz::rad
