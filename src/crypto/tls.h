// TlsStream: a blocking TLS 1.3 connection with deadlines, for remote administration. For src/rad and
// src/migrate.
//
// Who the peer is: certificates are self-signed and their chain is not verified. The fingerprint of the
// peer's public key (crypto/host_key.h) is given to the caller's PeerCheck during the handshake, which fails
// when the answer is no. TLS proves that the peer holds the key; PeerCheck is what says whose key it is. A
// PeerCheck that always says yes leaves the connection open to anyone.
//
// TLS 1.3 only; no session resumption (it would skip PeerCheck), no early data.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/secret.h"
#include "crypto/host_key.h"
#include "os/deadline.h"

namespace kz::crypto {

// Says whether the peer with this fingerprint ("SHA256:...") may be talked to.
using PeerCheck = std::function<bool(const std::string& fingerprint)>;

// A server's demand on its clients. `optional`: a client without a certificate is let in with an empty
// peer_fingerprint() and must prove itself by other means (a password); one that shows a certificate must
// pass PeerCheck.
enum class ClientCertificate { required = 1, optional };

// Own key and rules; made once, then shared by any number of connections and threads.
class TlsContext {
  public:
    static Result<TlsContext> client(const HostKey& own);
    // A client that shows no key of its own, for `optional` servers.
    static Result<TlsContext> anonymous_client();
    static Result<TlsContext> server(const HostKey& own, ClientCertificate demand);

  private:
    friend class TlsStream;
    struct Impl;
    explicit TlsContext(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
    std::shared_ptr<const Impl> impl_;
};

// Move-only; one thread at a time. Writing to a peer that has gone is an error, never SIGPIPE. After an
// error, but for a timeout or cancellation of read_some, the connection is of no further use.
class TlsStream {
  public:
    // Both take a connected stream socket, which they make non-blocking, and do the whole handshake by the
    // deadline. `cancel_fd` as in os/io.h. Errors: Errc::permission (PeerCheck said no, or the peer refused
    // us), Errc::timeout, Errc::cancelled, Errc::protocol (no TLS 1.3 at the other end), Errc::unavailable
    // (it closed), Errc::io.
    //
    // In TLS 1.3 a client is done before the server has seen its certificate: a client that the server
    // refuses gets Errc::permission from its first read_some.
    static Result<TlsStream> connect(UniqueFd socket, const TlsContext& context, PeerCheck check,
                                     Deadline deadline, int cancel_fd = -1);
    static Result<TlsStream> accept(UniqueFd socket, const TlsContext& context, PeerCheck check,
                                    Deadline deadline, int cancel_fd = -1);

    TlsStream(TlsStream&&) noexcept;
    TlsStream& operator=(TlsStream&&) noexcept;
    ~TlsStream();

    // At least one byte, or 0 when the peer has said that it sends no more. A connection that ends without
    // saying so is Errc::unavailable. Errc::timeout and Errc::cancelled when nothing came: it may be called
    // again. `out` must not be empty.
    Result<std::size_t> read_some(MutableBytes out, Deadline deadline, int cancel_fd = -1);

    // All of `data` by the deadline.
    Result<void> write_all(ByteView data, Deadline deadline, int cancel_fd = -1);

    // Says that no more will be sent. Reading what the peer still sends is possible afterwards.
    Result<void> shutdown(Deadline deadline);

    // Empty only for a client without a certificate at an `optional` server.
    const std::string& peer_fingerprint() const;

    // For poll() only. When has_buffered() a read_some answers at once though poll() shows nothing.
    int fd() const;
    bool has_buffered() const;

  private:
    struct Impl;
    enum class Role { client = 1, server };
    explicit TlsStream(std::unique_ptr<Impl> impl);
    static Result<TlsStream> handshake(UniqueFd socket, const TlsContext& context, PeerCheck check,
                                       Deadline deadline, int cancel_fd, Role role);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kz::crypto
