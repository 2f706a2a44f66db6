#include "crypto/tls.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>

#include <cerrno>

#include "crypto/socket_bio.h"
#include "crypto/tls_impl.h"
#include "os/io.h"

namespace kz::crypto {

struct TlsStream::Impl {
    // Declared before `ssl`, which points at both.
    UniqueFd socket;
    PeerVerdict verdict;
    std::shared_ptr<const TlsContext::Impl> context;
    SslPtr ssl;
};

namespace {

// The alerts with which a peer says that it does not want us, as opposed to not understanding us.
bool is_refusal(int reason) {
    switch (reason) {
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
            return true;
        default:
            return false;
    }
}

std::unexpected<Error> library_failure(const PeerVerdict& verdict) {
    const int reason = ERR_GET_REASON(ERR_peek_error());
    if (verdict.refused || reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        return openssl_failure("the peer's key is not one that is trusted", Errc::permission);
    if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return openssl_failure("the other end closed the connection", Errc::unavailable);
    if (is_refusal(reason)) return openssl_failure("the peer refused this host's key", Errc::permission);
    return openssl_failure("TLS", Errc::protocol);
}

std::unexpected<Error> system_failure(int sys_errno) {
    ERR_clear_error();
    if (sys_errno == 0 || sys_errno == EPIPE || sys_errno == ECONNRESET)
        return fail(Errc::unavailable, "the other end closed the connection");
    return fail_errno(sys_errno, "TLS connection");
}

// Repeats `step`, a call of OpenSSL's that answers 1 when it is done, until the socket has let it finish. The
// answer is false when the peer has closed its side in the orderly way.
template <typename Step>
Result<bool> drive(SSL* ssl, const PeerVerdict& verdict, Deadline deadline, int cancel_fd, Step step) {
    const int fd = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(SSL_get_rbio(ssl))));
    while (true) {
        ERR_clear_error();
        errno = 0;
        const int answer = step();
        if (answer == 1) return true;
        const int sys_errno = errno;
        switch (SSL_get_error(ssl, answer)) {
            case SSL_ERROR_WANT_READ:
                KZ_CHECK(wait_readable(fd, deadline, cancel_fd));
                break;
            case SSL_ERROR_WANT_WRITE:
                KZ_CHECK(wait_writable(fd, deadline, cancel_fd));
                break;
            case SSL_ERROR_ZERO_RETURN:
                return false;
            case SSL_ERROR_SYSCALL:
                return system_failure(sys_errno);
            default:
                return library_failure(verdict);
        }
    }
}

}  // namespace

TlsStream::TlsStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsStream::TlsStream(TlsStream&&) noexcept = default;
TlsStream& TlsStream::operator=(TlsStream&&) noexcept = default;
TlsStream::~TlsStream() = default;

Result<TlsStream> TlsStream::connect(UniqueFd socket, const TlsContext& context, PeerCheck check,
                                     Deadline deadline, int cancel_fd) {
    return handshake(std::move(socket), context, std::move(check), deadline, cancel_fd, Role::client);
}

Result<TlsStream> TlsStream::accept(UniqueFd socket, const TlsContext& context, PeerCheck check,
                                    Deadline deadline, int cancel_fd) {
    return handshake(std::move(socket), context, std::move(check), deadline, cancel_fd, Role::server);
}

Result<TlsStream> TlsStream::handshake(UniqueFd socket, const TlsContext& context, PeerCheck check,
                                       Deadline deadline, int cancel_fd, Role role) {
    KZ_CHECK(set_nonblocking(socket.get(), true));
    auto impl = std::make_unique<Impl>();
    impl->socket = std::move(socket);
    impl->verdict.check = std::move(check);
    impl->context = context.impl_;
    impl->ssl.reset(SSL_new(context.impl_->context.get()));
    if (impl->ssl == nullptr) return openssl_failure("TLS");
    KZ_TRY(BioPtr bio, make_socket_bio(impl->socket.get()));
    SSL* ssl = impl->ssl.get();
    BIO* raw = bio.release();
    SSL_set_bio(ssl, raw, raw);
    SSL_set_app_data(ssl, &impl->verdict);
    auto done = drive(ssl, impl->verdict, deadline, cancel_fd,
                      [&] { return role == Role::client ? SSL_connect(ssl) : SSL_accept(ssl); });
    if (!done) return std::unexpected(std::move(done).error().context("TLS handshake"));
    if (!*done) return fail(Errc::unavailable, "TLS handshake: the other end closed the connection");
    return TlsStream(std::move(impl));
}

Result<std::size_t> TlsStream::read_some(MutableBytes out, Deadline deadline, int cancel_fd) {
    if (out.empty()) return fail(Errc::invalid_argument, "reading into an empty buffer");
    std::size_t got = 0;
    KZ_TRY(const bool open, drive(impl_->ssl.get(), impl_->verdict, deadline, cancel_fd, [&] {
               return SSL_read_ex(impl_->ssl.get(), out.data(), out.size(), &got);
           }));
    return open ? got : 0;
}

Result<void> TlsStream::write_all(ByteView data, Deadline deadline, int cancel_fd) {
    while (!data.empty()) {
        std::size_t written = 0;
        KZ_TRY(const bool open, drive(impl_->ssl.get(), impl_->verdict, deadline, cancel_fd, [&] {
                   return SSL_write_ex(impl_->ssl.get(), data.data(), data.size(), &written);
               }));
        if (!open) return fail(Errc::unavailable, "the other end closed the connection");
        data = data.subspan(written);
    }
    return {};
}

Result<void> TlsStream::shutdown(Deadline deadline) {
    // The answer 0 of SSL_shutdown is "said; the peer has not answered yet", which is all that is wanted.
    KZ_CHECK(drive(impl_->ssl.get(), impl_->verdict, deadline, -1, [&] {
        const int answer = SSL_shutdown(impl_->ssl.get());
        return answer == 0 ? 1 : answer;
    }));
    return {};
}

const std::string& TlsStream::peer_fingerprint() const {
    return impl_->verdict.fingerprint;
}

int TlsStream::fd() const {
    return impl_->socket.get();
}

bool TlsStream::has_buffered() const {
    return SSL_has_pending(impl_->ssl.get()) == 1;
}

}  // namespace kz::crypto
