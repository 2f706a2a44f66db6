#include "crypto/openssl_aead.h"

#include <openssl/err.h>

#include <algorithm>

#include "crypto/aead_job.h"
#include "crypto/openssl.h"

namespace kz::crypto {
namespace {

using CipherContextPtr = std::unique_ptr<EVP_CIPHER_CTX, OpensslDelete<&EVP_CIPHER_CTX_free>>;

const EVP_CIPHER* evp_cipher(Cipher cipher) {
    switch (cipher) {
        case Cipher::aes_128_ccm:
            return EVP_aes_128_ccm();
        case Cipher::aes_128_gcm:
            return EVP_aes_128_gcm();
        case Cipher::aes_256_gcm:
            return EVP_aes_256_gcm();
        case Cipher::chacha20_poly1305:
            return EVP_chacha20_poly1305();
        case Cipher::none:
            break;
    }
    return nullptr;
}

// Two contexts, because changing one's direction would expand the key again for each message.
class OpensslAead final : public Aead {
  public:
    OpensslAead(Cipher cipher, CipherContextPtr sealing, CipherContextPtr opening)
        : is_ccm_(cipher == Cipher::aes_128_ccm),
          sealing_(std::move(sealing)),
          opening_(std::move(opening)) {}

    Result<void> seal(const AeadJob& job) override {
        EVP_CIPHER_CTX* context = sealing_.get();
        KZ_CHECK(check_job(job));
        const bool sealed =
            EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, job.nonce.data()) == 1 &&
            (!is_ccm_ || announce_length(context, job)) && feed_aad(context, job) &&
            feed_data(context, job) && finish(context) &&
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagSize, job.tag.data()) == 1;
        if (!sealed) return openssl_failure("sealing");
        return {};
    }

    Result<void> open(const AeadJob& job) override {
        EVP_CIPHER_CTX* context = opening_.get();
        KZ_CHECK(check_job(job));
        const bool opened =
            EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, job.nonce.data()) == 1 &&
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagSize, job.tag.data()) == 1 &&
            (!is_ccm_ || announce_length(context, job)) && feed_aad(context, job) &&
            feed_data(context, job) && finish(context);
        if (!opened) {
            std::ranges::fill(job.data, Byte{0});
            ERR_clear_error();
            return not_authentic();
        }
        return {};
    }

  private:
    // CCM puts the length into its first block, so it must be known before the additional data.
    static bool announce_length(EVP_CIPHER_CTX* context, const AeadJob& job) {
        int done = 0;
        return EVP_CipherUpdate(context, nullptr, &done, nullptr, static_cast<int>(job.data.size())) == 1;
    }
    static bool feed_aad(EVP_CIPHER_CTX* context, const AeadJob& job) {
        int done = 0;
        return job.aad.empty() || EVP_CipherUpdate(context, nullptr, &done, job.aad.data(),
                                                   static_cast<int>(job.aad.size())) == 1;
    }
    // CCM checks the tag in this call, so it must be made for an empty message too; a null input would mean
    // something else to OpenSSL.
    bool feed_data(EVP_CIPHER_CTX* context, const AeadJob& job) const {
        int done = 0;
        Byte empty = 0;
        Byte* data = job.data.empty() ? &empty : job.data.data();
        if (job.data.empty() && !is_ccm_) return true;
        return EVP_CipherUpdate(context, data, &done, data, static_cast<int>(job.data.size())) == 1;
    }
    bool finish(EVP_CIPHER_CTX* context) const {
        int done = 0;
        Byte unused[kTagSize];
        return is_ccm_ || EVP_CipherFinal_ex(context, unused, &done) == 1;
    }

    bool is_ccm_;
    CipherContextPtr sealing_;
    CipherContextPtr opening_;
};

Result<CipherContextPtr> make_context(Cipher cipher, ByteView key, bool encrypt) {
    CipherContextPtr context(EVP_CIPHER_CTX_new());
    const int direction = encrypt ? 1 : 0;
    const bool made =
        context != nullptr &&
        EVP_CipherInit_ex(context.get(), evp_cipher(cipher), nullptr, nullptr, nullptr, direction) == 1 &&
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_IVLEN, kNonceSize, nullptr) == 1 &&
        (cipher != Cipher::aes_128_ccm ||
         EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, nullptr) == 1) &&
        EVP_CipherInit_ex(context.get(), nullptr, nullptr, key.data(), nullptr, direction) == 1;
    if (!made) return openssl_failure(cipher_name(cipher));
    return context;
}

}  // namespace

Result<std::unique_ptr<Aead>> make_openssl_aead(Cipher cipher, ByteView key) {
    KZ_TRY(CipherContextPtr sealing, make_context(cipher, key, /*encrypt=*/true));
    KZ_TRY(CipherContextPtr opening, make_context(cipher, key, /*encrypt=*/false));
    return std::make_unique<OpensslAead>(cipher, std::move(sealing), std::move(opening));
}

}  // namespace kz::crypto
