#include "crypto/ipsec_mb/aead.h"

#include <string.h>

#include <algorithm>

#include "base/secret.h"
#include "crypto/aead_job.h"
#include "crypto/ipsec_mb/ccm.h"

namespace kz::crypto {
namespace {

class IpsecMbGcm final : public Aead {
  public:
    IpsecMbGcm(const IpsecMb::GcmFunctions& functions, ByteView key) : functions_(functions) {
        functions_.expand_key(key.data(), &key_);
    }
    ~IpsecMbGcm() override {
        explicit_bzero(&key_, sizeof key_);
        explicit_bzero(&context_, sizeof context_);
    }
    IpsecMbGcm(const IpsecMbGcm&) = delete;
    IpsecMbGcm& operator=(const IpsecMbGcm&) = delete;

    Result<void> seal(const AeadJob& job) override {
        KZ_CHECK(check_job(job));
        run(functions_.encrypt, job, job.tag.data());
        return {};
    }

    Result<void> open(const AeadJob& job) override {
        KZ_CHECK(check_job(job));
        std::array<Byte, kTagSize> tag;
        run(functions_.decrypt, job, tag.data());
        if (equal_in_constant_time(tag, job.tag)) return {};
        std::ranges::fill(job.data, Byte{0});
        return not_authentic();
    }

  private:
    void run(aes_gcm_enc_dec_t function, const AeadJob& job, Byte* tag) {
        function(&key_, &context_, job.data.data(), job.data.data(), job.data.size(), job.nonce.data(),
                 job.aad.data(), job.aad.size(), tag, kTagSize);
    }

    alignas(64) gcm_key_data key_{};
    alignas(64) gcm_context_data context_{};
    const IpsecMb::GcmFunctions& functions_;
};

}  // namespace

bool ipsec_mb_has(Cipher cipher) {
    return cipher == Cipher::aes_128_gcm || cipher == Cipher::aes_256_gcm || cipher == Cipher::aes_128_ccm;
}

Result<std::unique_ptr<Aead>> make_ipsec_mb_aead(const IpsecMb& library, Cipher cipher, ByteView key) {
    if (cipher == Cipher::aes_128_ccm) return make_ipsec_mb_ccm(library, key);
    return std::make_unique<IpsecMbGcm>(cipher == Cipher::aes_128_gcm ? library.gcm_128() : library.gcm_256(),
                                        key);
}

}  // namespace kz::crypto
