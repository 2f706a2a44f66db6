#include "crypto/host_key.h"

#include "crypto/certificate.h"
#include "crypto/openssl.h"
#include "crypto/self_signed.h"

namespace kz::crypto {
namespace {

constexpr std::string_view kFingerprintPrefix = "SHA256:";
constexpr unsigned kValidYears = 100;

}  // namespace

Result<HostKey> generate_host_key(std::string_view common_name) {
    KZ_TRY(SelfSigned made, make_self_signed({KeyKind::ed25519, common_name, {}, kValidYears}));
    KZ_TRY(const X509Ptr certificate, parse_certificate(made.cert_pem));
    KZ_TRY(std::string fingerprint, fingerprint_of(certificate.get()));
    return HostKey{std::move(made.key_pem), std::move(made.cert_pem), std::move(fingerprint)};
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
