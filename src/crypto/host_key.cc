#include "crypto/host_key.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "crypto/certificate.h"
#include "crypto/openssl.h"
#include "crypto/random.h"

namespace kz::crypto {
namespace {

constexpr long kValidSeconds = 100L * 365 * 24 * 60 * 60;
// So that a host whose clock is behind does not make a certificate that others would call not yet valid.
constexpr long kBackdatedSeconds = 24L * 60 * 60;
constexpr std::size_t kMaxCommonName = 64;  // ub-common-name of X.520
constexpr std::string_view kFingerprintPrefix = "SHA256:";

ByteView content_of(BIO* memory) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(memory, &data);
    return as_bytes({data, static_cast<std::size_t>(std::max(size, 0L))});
}

Result<std::string> render_certificate(X509* certificate) {
    const BioPtr memory(BIO_new(BIO_s_mem()));
    if (memory == nullptr || PEM_write_bio_X509(memory.get(), certificate) != 1)
        return openssl_failure("writing the certificate");
    return std::string(as_text(content_of(memory.get())));
}

Result<Secret> render_key(EVP_PKEY* key) {
    const BioPtr memory(BIO_new(BIO_s_secmem()));
    if (memory == nullptr ||
        PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
        return openssl_failure("writing the key");
    return Secret(content_of(memory.get()));
}

bool set_random_serial(X509* certificate) {
    std::array<Byte, 16> serial;
    if (!fill_random(serial)) return false;
    serial[0] &= 0x7f;  // a serial is a positive number
    BIGNUM* number = BN_bin2bn(serial.data(), serial.size(), nullptr);
    const bool set =
        number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
    BN_free(number);
    return set;
}

Result<X509Ptr> make_certificate(EVP_PKEY* key, std::string_view common_name) {
    X509Ptr certificate(X509_new());
    if (certificate == nullptr) return openssl_failure("making the certificate");
    X509_NAME* subject = X509_get_subject_name(certificate.get());
    const auto* name = reinterpret_cast<const unsigned char*>(common_name.data());
    const bool made =
        X509_set_version(certificate.get(), X509_VERSION_3) == 1 && set_random_serial(certificate.get()) &&
        X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kBackdatedSeconds) != nullptr &&
        X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kValidSeconds) != nullptr &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, name, static_cast<int>(common_name.size()),
                                   -1, 0) == 1 &&
        X509_set_issuer_name(certificate.get(), subject) == 1 &&
        X509_set_pubkey(certificate.get(), key) == 1 && X509_sign(certificate.get(), key, nullptr) > 0;
    if (!made) return openssl_failure("making the certificate");
    return certificate;
}

}  // namespace

Result<HostKey> generate_host_key(std::string_view common_name) {
    if (common_name.empty() || common_name.size() > kMaxCommonName)
        return fail(Errc::invalid_argument, "a host name of {} bytes", common_name.size());
    const EvpPkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    if (key == nullptr) return openssl_failure("making an Ed25519 key");
    KZ_TRY(const X509Ptr certificate, make_certificate(key.get(), common_name));
    KZ_TRY(Secret key_pem, render_key(key.get()));
    KZ_TRY(std::string cert_pem, render_certificate(certificate.get()));
    KZ_TRY(std::string fingerprint, fingerprint_of(certificate.get()));
    return HostKey{std::move(key_pem), std::move(cert_pem), std::move(fingerprint)};
}

Result<HostKey> load_host_key(ByteView key_pem, std::string_view cert_pem) {
    KZ_TRY(const EvpPkeyPtr key, parse_private_key(key_pem));
    KZ_TRY(const X509Ptr certificate, parse_certificate(cert_pem));
    if (X509_check_private_key(certificate.get(), key.get()) != 1)
        return openssl_failure("the host key and its certificate do not belong together", Errc::corrupt);
    KZ_TRY(std::string fingerprint, fingerprint_of(certificate.get()));
    return HostKey{Secret(key_pem), std::string(cert_pem), std::move(fingerprint)};
}

bool is_fingerprint(std::string_view text) {
    constexpr std::size_t kDigits = 43;  // 32 bytes in base64, without the one '='
    if (!text.starts_with(kFingerprintPrefix)) return false;
    text.remove_prefix(kFingerprintPrefix.size());
    if (text.size() != kDigits) return false;
    return from_base64(std::string(text) + "=").has_value();
}

}  // namespace kz::crypto
