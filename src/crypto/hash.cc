#include "crypto/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <climits>
#include <new>

#include "crypto/openssl.h"

namespace kz::crypto {

Sha256Digest sha256(ByteView data) {
    Sha256Digest digest;
    if (EVP_Digest(data.data(), data.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
        throw std::bad_alloc();
    return digest;
}

Result<Sha256Digest> hmac_sha256(ByteView key, ByteView data) {
    Sha256Digest digest;
    // HMAC() takes a null key as "the key of the call before".
    static constexpr Byte kEmptyKey = 0;
    const Byte* key_data = key.empty() ? &kEmptyKey : key.data();
    if (key.size() > INT_MAX) return fail(Errc::invalid_argument, "HMAC key of {} bytes", key.size());
    if (HMAC(EVP_sha256(), key_data, static_cast<int>(key.size()), data.data(), data.size(), digest.data(),
             nullptr) == nullptr)
        return openssl_failure("HMAC-SHA256");
    return digest;
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
    EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    start();
}

void Sha256::start() {
    if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
        throw std::bad_alloc();
}

void Sha256::update(ByteView data) {
    if (EVP_DigestUpdate(context_.get(), data.data(), data.size()) != 1) throw std::bad_alloc();
}

Sha256Digest Sha256::finish() {
    Sha256Digest digest;
    if (EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) != 1) throw std::bad_alloc();
    start();
    return digest;
}

}  // namespace kz::crypto
