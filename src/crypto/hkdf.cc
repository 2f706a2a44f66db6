#include "crypto/hkdf.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <array>
#include <memory>

#include "crypto/hash.h"
#include "crypto/openssl.h"

namespace kz::crypto {
namespace {

using KdfPtr = std::unique_ptr<EVP_KDF, OpensslDelete<&EVP_KDF_free>>;
using KdfContextPtr = std::unique_ptr<EVP_KDF_CTX, OpensslDelete<&EVP_KDF_CTX_free>>;

constexpr std::size_t kMaxOutput = 255 * kSha256Size;

// OpenSSL's parameter list wants pointers to non-const but reads only.
OSSL_PARAM octets(const char* key, ByteView data) {
    return OSSL_PARAM_construct_octet_string(key, const_cast<Byte*>(data.data()), data.size());
}

}  // namespace

Result<Secret> hkdf_sha256(ByteView secret, ByteView salt, std::string_view info, std::size_t length) {
    if (secret.empty()) return fail(Errc::invalid_argument, "HKDF of an empty secret");
    if (length == 0 || length > kMaxOutput) return fail(Errc::invalid_argument, "HKDF of {} bytes", length);
    const KdfPtr kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
    const KdfContextPtr context(kdf == nullptr ? nullptr : EVP_KDF_CTX_new(kdf.get()));
    if (context == nullptr) return openssl_failure("HKDF");

    std::string digest = "SHA256";
    std::array<OSSL_PARAM, 5> params;
    std::size_t used = 0;
    params[used++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0);
    params[used++] = octets(OSSL_KDF_PARAM_KEY, secret);
    if (!salt.empty()) params[used++] = octets(OSSL_KDF_PARAM_SALT, salt);
    if (!info.empty()) params[used++] = octets(OSSL_KDF_PARAM_INFO, as_bytes(info));
    params[used] = OSSL_PARAM_construct_end();

    Secret out = Secret::of_size(length);
    if (EVP_KDF_derive(context.get(), out.mutable_view().data(), length, params.data()) != 1)
        return openssl_failure("HKDF");
    return out;
}

}  // namespace kz::crypto
