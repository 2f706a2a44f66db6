#include "crypto/self_signed.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "crypto/openssl.h"
#include "crypto/random.h"

namespace kz::crypto {
namespace {

constexpr long kSecondsOfYear = 365L * 24 * 60 * 60;
// So that a host whose clock is behind does not make a certificate that others would call not yet valid.
constexpr long kBackdatedSeconds = 24L * 60 * 60;
constexpr std::size_t kMaxCommonName = 64;  // ub-common-name of X.520
constexpr std::size_t kRsaBits = 2048;

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

bool is_dns_name(std::string_view name) {
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '.';
    });
}

// Without a name there is nothing to add.
bool add_dns_name(X509* certificate, std::string_view name) {
    if (name.empty()) return true;
    const std::string value = fmt::format("DNS:{}", name);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, value.c_str());
    const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

EvpPkeyPtr make_key(KeyKind kind) {
    return EvpPkeyPtr(kind == KeyKind::rsa ? EVP_RSA_gen(kRsaBits)
                                           : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
}

Result<X509Ptr> make_certificate(EVP_PKEY* key, const SelfSignedRequest& request) {
    X509Ptr certificate(X509_new());
    if (certificate == nullptr) return openssl_failure("making the certificate");
    X509_NAME* subject = X509_get_subject_name(certificate.get());
    const auto* name = reinterpret_cast<const unsigned char*>(request.common_name.data());
    const long valid = kSecondsOfYear * static_cast<long>(request.years);
    const EVP_MD* const digest = request.kind == KeyKind::rsa ? EVP_sha256() : nullptr;
    const bool made =
        X509_set_version(certificate.get(), X509_VERSION_3) == 1 && set_random_serial(certificate.get()) &&
        X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kBackdatedSeconds) != nullptr &&
        X509_gmtime_adj(X509_getm_notAfter(certificate.get()), valid) != nullptr &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, name,
                                   static_cast<int>(request.common_name.size()), -1, 0) == 1 &&
        X509_set_issuer_name(certificate.get(), subject) == 1 &&
        X509_set_pubkey(certificate.get(), key) == 1 && add_dns_name(certificate.get(), request.dns_name) &&
        X509_sign(certificate.get(), key, digest) > 0;
    if (!made) return openssl_failure("making the certificate");
    return certificate;
}

}  // namespace

Result<SelfSigned> make_self_signed(const SelfSignedRequest& request) {
    if (request.common_name.empty() || request.common_name.size() > kMaxCommonName)
        return fail(Errc::invalid_argument, "a host name of {} bytes", request.common_name.size());
    if (!is_dns_name(request.dns_name))
        return fail(Errc::invalid_argument, "'{}' is no name of a host", request.dns_name);
    const EvpPkeyPtr key = make_key(request.kind);
    if (key == nullptr) return openssl_failure("making a key");
    KZ_TRY(const X509Ptr certificate, make_certificate(key.get(), request));
    KZ_TRY(Secret key_pem, render_key(key.get()));
    KZ_TRY(std::string cert_pem, render_certificate(certificate.get()));
    return SelfSigned{std::move(key_pem), std::move(cert_pem)};
}

}  // namespace kz::crypto
