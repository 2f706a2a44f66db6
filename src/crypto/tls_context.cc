#include <openssl/err.h>

#include "crypto/certificate.h"
#include "crypto/tls_impl.h"

namespace kz::crypto {
namespace {

// Replaces OpenSSL's chain verification: the public key alone says who the peer is. That the peer holds the
// private key is proved by the handshake itself (CertificateVerify), whatever this function answers.
int verify_peer(X509_STORE_CTX* store, void*) {
    const auto* ssl =
        static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* verdict = ssl == nullptr ? nullptr : static_cast<PeerVerdict*>(SSL_get_app_data(ssl));
    X509* certificate = X509_STORE_CTX_get0_cert(store);
    if (verdict == nullptr || certificate == nullptr) return 0;
    auto fingerprint = fingerprint_of(certificate);
    if (fingerprint && verdict->check && verdict->check(*fingerprint)) {
        verdict->fingerprint = *std::move(fingerprint);
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    verdict->refused = true;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

Result<SslContextPtr> make_context(const SSL_METHOD* method, int verify_mode) {
    SslContextPtr context(SSL_CTX_new(method));
    if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_num_tickets(context.get(), 0) != 1)
        return openssl_failure("TLS");
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context.get(), verify_mode, nullptr);
    SSL_CTX_set_cert_verify_callback(context.get(), verify_peer, nullptr);
    return context;
}

Result<void> use_key(SSL_CTX* context, const HostKey& own) {
    KZ_TRY(const EvpPkeyPtr key, parse_private_key(own.key_pem.view()));
    KZ_TRY(const X509Ptr certificate, parse_certificate(own.cert_pem));
    if (SSL_CTX_use_certificate(context, certificate.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context, key.get()) != 1)
        return openssl_failure("using the host key for TLS", Errc::corrupt);
    return {};
}

}  // namespace

Result<TlsContext> TlsContext::client(const HostKey& own) {
    KZ_TRY(SslContextPtr context, make_context(TLS_client_method(), SSL_VERIFY_PEER));
    KZ_CHECK(use_key(context.get(), own));
    return TlsContext(std::make_shared<const Impl>(std::move(context)));
}

Result<TlsContext> TlsContext::anonymous_client() {
    KZ_TRY(SslContextPtr context, make_context(TLS_client_method(), SSL_VERIFY_PEER));
    return TlsContext(std::make_shared<const Impl>(std::move(context)));
}

Result<TlsContext> TlsContext::server(const HostKey& own, ClientCertificate demand) {
    const int must_show = demand == ClientCertificate::required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    KZ_TRY(SslContextPtr context, make_context(TLS_server_method(), SSL_VERIFY_PEER | must_show));
    KZ_CHECK(use_key(context.get(), own));
    return TlsContext(std::make_shared<const Impl>(std::move(context)));
}

}  // namespace kz::crypto
