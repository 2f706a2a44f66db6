#include "crypto/ipsec_mb/ccm.h"

#include <string.h>

#include <algorithm>

#include "base/secret.h"
#include "crypto/aead_job.h"
#include "crypto/openssl_aead.h"

namespace kz::crypto {
namespace {

// The library's limits; what is longer goes to OpenSSL. Records keep within them (stream/record.h).
constexpr std::size_t kMaxMessage = 65'534;
constexpr std::size_t kMaxAad = 46;
// Messages that are given to the library before their results are awaited: as many as AVX-512 has lanes.
constexpr std::size_t kLanes = 16;
constexpr std::size_t kExpandedKey = 11 * 16;

using Tags = std::array<std::array<Byte, kTagSize>, kLanes>;

class IpsecMbCcm final : public Aead {
  public:
    IpsecMbCcm(IpsecMbManager manager, std::unique_ptr<Aead> fallback, ByteView key)
        : manager_(std::move(manager)), fallback_(std::move(fallback)) {
        // CCM decrypts with the encryption schedule too; the library makes both.
        alignas(16) std::array<Byte, kExpandedKey> decryption;
        IMB_AES_KEYEXP_128(manager_.get(), key.data(), key_.data(), decryption.data());
        explicit_bzero(decryption.data(), decryption.size());
    }
    ~IpsecMbCcm() override { explicit_bzero(key_.data(), key_.size()); }
    IpsecMbCcm(const IpsecMbCcm&) = delete;
    IpsecMbCcm& operator=(const IpsecMbCcm&) = delete;

    Result<void> seal(const AeadJob& job) override { return seal_batch({&job, 1}); }
    Result<void> open(const AeadJob& job) override { return open_batch({&job, 1}); }

    Result<void> seal_batch(std::span<const AeadJob> jobs) override {
        KZ_TRY(const bool ours, check_batch(jobs));
        if (!ours) return fallback_->seal_batch(jobs);
        Tags unused;
        for (; !jobs.empty(); jobs = jobs.subspan(std::min(kLanes, jobs.size())))
            KZ_CHECK(run(jobs.first(std::min(kLanes, jobs.size())), IMB_DIR_ENCRYPT, unused));
        return {};
    }

    Result<void> open_batch(std::span<const AeadJob> jobs) override {
        KZ_TRY(const bool ours, check_batch(jobs));
        if (!ours) return fallback_->open_batch(jobs);
        Result<void> opened;
        for (auto rest = jobs; !rest.empty() && opened; rest = rest.subspan(std::min(kLanes, rest.size())))
            opened = open_some(rest.first(std::min(kLanes, rest.size())));
        if (!opened) {
            for (const AeadJob& job : jobs)
                std::ranges::fill(job.data, Byte{0});
        }
        return opened;
    }

  private:
    // Whether the library takes all of them.
    static Result<bool> check_batch(std::span<const AeadJob> jobs) {
        bool ours = true;
        for (const AeadJob& job : jobs) {
            KZ_CHECK(check_job(job));
            ours = ours && job.data.size() <= kMaxMessage && job.aad.size() <= kMaxAad;
        }
        return ours;
    }

    Result<void> open_some(std::span<const AeadJob> jobs) {
        Tags tags;
        KZ_CHECK(run(jobs, IMB_DIR_DECRYPT, tags));
        bool authentic = true;
        for (std::size_t i = 0; i < jobs.size(); ++i)
            authentic = equal_in_constant_time(tags[i], jobs[i].tag) && authentic;
        if (!authentic) return not_authentic();
        return {};
    }

    // At most kLanes jobs. Tags are put where sealing wants them, or into `tags` when opening.
    Result<void> run(std::span<const AeadJob> jobs, IMB_CIPHER_DIRECTION direction, Tags& tags) {
        IMB_MGR* manager = manager_.get();
        std::size_t completed = 0;
        const auto count = [&completed](const IMB_JOB* done) {
            if (done != nullptr && done->status == IMB_STATUS_COMPLETED) ++completed;
        };
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            const bool sealing = direction == IMB_DIR_ENCRYPT;
            fill(*IMB_GET_NEXT_JOB(manager), jobs[i], direction,
                 sealing ? jobs[i].tag.data() : tags[i].data());
            count(IMB_SUBMIT_JOB(manager));
        }
        while (const IMB_JOB* done = IMB_FLUSH_JOB(manager))
            count(done);
        if (completed != jobs.size()) return fail(Errc::internal, "the cipher library refused a message");
        return {};
    }

    void fill(IMB_JOB& to, const AeadJob& job, IMB_CIPHER_DIRECTION direction, Byte* tag) const {
        to = IMB_JOB{};
        to.cipher_mode = IMB_CIPHER_CCM;
        to.hash_alg = IMB_AUTH_AES_CCM;
        to.cipher_direction = direction;
        // The tag is that of the plain bytes.
        to.chain_order = direction == IMB_DIR_ENCRYPT ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
        to.enc_keys = key_.data();
        to.dec_keys = key_.data();
        to.key_len_in_bytes = 16;
        to.src = job.data.data();
        to.dst = job.data.data();
        to.msg_len_to_cipher_in_bytes = job.data.size();
        to.msg_len_to_hash_in_bytes = job.data.size();
        to.iv = job.nonce.data();
        to.iv_len_in_bytes = kNonceSize;
        to.auth_tag_output = tag;
        to.auth_tag_output_len_in_bytes = kTagSize;
        to.u.CCM.aad = job.aad.data();
        to.u.CCM.aad_len_in_bytes = job.aad.size();
    }

    alignas(16) std::array<Byte, kExpandedKey> key_{};
    IpsecMbManager manager_;
    std::unique_ptr<Aead> fallback_;
};

}  // namespace

Result<std::unique_ptr<Aead>> make_ipsec_mb_ccm(const IpsecMb& library, ByteView key) {
    KZ_TRY(IpsecMbManager manager, library.make_manager());
    KZ_TRY(std::unique_ptr<Aead> fallback, make_openssl_aead(Cipher::aes_128_ccm, key));
    return std::make_unique<IpsecMbCcm>(std::move(manager), std::move(fallback), key);
}

}  // namespace kz::crypto
