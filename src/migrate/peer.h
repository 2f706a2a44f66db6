// Peer: a connection to the remote administration (kz-radd) of another host. For the source side of a
// migration and src/client.
//
// HTTP/1.1 with JSON bodies over one connection that is kept alive: the other host ties what we begin there
// (a migration) to this connection, and cleans up when it ends. It is TLS 1.3, where both sides prove
// themselves with host keys (migrate/peer_keys.h) and this side may do so with a user's password instead, or
// a stream of ssh, which has done both (migrate/peer_ssh.h).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/json.h"
#include "base/secret.h"
#include "migrate/peer_address.h"
#include "os/deadline.h"
#include "os/paths.h"

namespace kz::migrate {

// What to do about a host whose key is not in known_hosts. A host whose key is there and differs is always
// refused.
struct TrustPolicy {
    // Shows the question, which ends with "(yes/no)? ", and tells whether the answer was yes.
    using Ask = std::function<bool(const std::string& question)>;

    static TrustPolicy ask(Ask callback) { return {.question = std::move(callback)}; }
    // Records the key of a new host without asking.
    static TrustPolicy accept_new() { return {.accept_unknown = true}; }
    // For scripts and daemons, which have nobody to ask.
    static TrustPolicy refuse() { return {}; }
    // The host must show exactly this key; it is recorded.
    static TrustPolicy exactly(std::string fingerprint) { return {.expected = std::move(fingerprint)}; }

    Ask question{};
    bool accept_unknown = false;
    std::optional<std::string> expected{};
};

// Whether `text` has the form of what TrustPolicy::exactly() takes: "SHA256:" and 43 characters.
bool is_host_key_fingerprint(std::string_view text);

// Move-only; one thread at a time.
class Peer {
  public:
    // Connects and checks the host's key. The deadline does not run while a question is being answered.
    // Errors: Errc::permission (unknown or changed key, in several lines that say what to do),
    // Errc::unavailable, Errc::timeout, Errc::cancelled, and those of TLS and of the key files.
    static Result<Peer> connect(const PeerAddress& address, const HostPaths& paths, const TrustPolicy& policy,
                                std::chrono::milliseconds timeout, int cancel_fd = -1);
    // The kz-radd of this host, by its unix socket (root only).
    static Result<Peer> connect_local(const HostPaths& paths, std::chrono::milliseconds timeout);

    // On a connected stream socket that ssh carries to the other host.
    static Result<Peer> on_stream(const PeerAddress& address, UniqueFd socket);

    Peer(Peer&&) noexcept;
    Peer& operator=(Peer&&) noexcept;
    ~Peer();

    // One request and its answer. `method` is GET, POST, PUT or DELETE; `target` starts with "/"; a null
    // `body` sends none. An answer other than 2xx is the Error that the host sent. Errors: also
    // Errc::timeout, Errc::cancelled, Errc::unavailable (the connection ended), Errc::protocol. After any of
    // these four the connection is of no further use and each call fails.
    Result<Json> call(std::string_view method, std::string_view target, const Json& body,
                      std::chrono::milliseconds timeout, int cancel_fd = -1);

    // Proves a user of the other host by password, in place of this host's key; the first request of a
    // connection. Errors: Errc::permission when they do not fit, Errc::busy when there were too many
    // attempts, else as of call(). After any of them the connection is of no further use.
    Result<void> login(const std::string& user, const Secret& password, std::chrono::milliseconds timeout,
                       int cancel_fd = -1);

    // The key of the other host; empty for connect_local and on_stream.
    const std::string& fingerprint() const;
    // Its name or address as given; "localhost" for connect_local.
    const std::string& host() const;
    const PeerAddress& address() const;
    // For poll(): readable while no call is under way means that the other host has ended the connection.
    int fd() const;

  private:
    struct Impl;
    explicit Peer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kz::migrate
