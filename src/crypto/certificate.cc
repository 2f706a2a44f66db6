#include "crypto/certificate.h"

#include <openssl/pem.h>

#include "crypto/hash.h"

namespace kz::crypto {
namespace {

// Without it OpenSSL would ask on the terminal when the PEM text is encrypted.
int refuse_passphrase(char*, int, int, void*) {
    return -1;
}

Result<BioPtr> memory_of(std::string_view pem) {
    if (pem.size() > kMaxPem) return fail(Errc::corrupt, "a PEM text of {} bytes", pem.size());
    BioPtr memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    if (memory == nullptr) return openssl_failure("PEM");
    return memory;
}

}  // namespace

Result<std::string> fingerprint_of(X509* certificate) {
    unsigned char* encoded = nullptr;
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &encoded);
    if (size <= 0) return openssl_failure("reading the public key", Errc::protocol);
    const Sha256Digest digest = sha256({encoded, static_cast<std::size_t>(size)});
    OPENSSL_free(encoded);
    std::string text = to_base64(digest);
    while (text.ends_with('='))
        text.pop_back();
    return "SHA256:" + text;
}

Result<EvpPkeyPtr> parse_private_key(ByteView pem) {
    KZ_TRY(const BioPtr memory, memory_of(as_text(pem)));
    EvpPkeyPtr key(PEM_read_bio_PrivateKey(memory.get(), nullptr, refuse_passphrase, nullptr));
    if (key == nullptr) return openssl_failure("reading the host key", Errc::corrupt);
    return key;
}

Result<X509Ptr> parse_certificate(std::string_view pem) {
    KZ_TRY(const BioPtr memory, memory_of(pem));
    X509Ptr certificate(PEM_read_bio_X509(memory.get(), nullptr, refuse_passphrase, nullptr));
    if (certificate == nullptr) return openssl_failure("reading the host certificate", Errc::corrupt);
    return certificate;
}

}  // namespace kz::crypto
