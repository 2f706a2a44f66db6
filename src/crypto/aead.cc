#include "crypto/aead.h"

#include <algorithm>

#include "crypto/aead_job.h"
#include "crypto/openssl_aead.h"
#ifdef KZ_HAS_IPSEC_MB
#include "crypto/ipsec_mb/aead.h"
#endif

namespace kz::crypto {
namespace {

#ifdef KZ_HAS_IPSEC_MB
bool has_ipsec_mb(Cipher cipher) {
    return ipsec_mb_has(cipher) && IpsecMb::instance() != nullptr;
}

Result<std::unique_ptr<Aead>> make_by_ipsec_mb(Cipher cipher, ByteView key) {
    return make_ipsec_mb_aead(*IpsecMb::instance(), cipher, key);
}
#else
bool has_ipsec_mb(Cipher) {
    return false;
}

Result<std::unique_ptr<Aead>> make_by_ipsec_mb(Cipher, ByteView) {
    return fail(Errc::unsupported, "built without intel-ipsec-mb");
}
#endif

}  // namespace

AeadBackend Aead::fastest_backend(Cipher cipher) {
    return has_ipsec_mb(cipher) ? AeadBackend::ipsec_mb : AeadBackend::openssl;
}

Result<std::unique_ptr<Aead>> Aead::create(Cipher cipher, ByteView key, AeadBackend backend) {
    if (cipher == Cipher::none) return fail(Errc::invalid_argument, "cipher 'none' has no key");
    if (key.size() != cipher_key_size(cipher))
        return fail(Errc::invalid_argument, "a key of {} bytes for {}", key.size(), cipher_name(cipher));
    if (backend == AeadBackend::automatic) backend = fastest_backend(cipher);
    if (backend == AeadBackend::openssl) return make_openssl_aead(cipher, key);
    if (!has_ipsec_mb(cipher))
        return fail(Errc::unsupported, "no {} by intel-ipsec-mb here", cipher_name(cipher));
    return make_by_ipsec_mb(cipher, key);
}

Result<void> check_job(const AeadJob& job) {
    if (job.data.size() > kMaxAeadMessage || job.aad.size() > kMaxAeadMessage)
        return fail(Errc::invalid_argument, "a message of {} bytes is too long", job.data.size());
    if (job.tag.size() != kTagSize) return fail(Errc::invalid_argument, "a tag of {} bytes", job.tag.size());
    return {};
}

std::unexpected<Error> not_authentic() {
    return fail(Errc::corrupt, "the data is damaged or sealed with another key");
}

Result<void> Aead::seal_batch(std::span<const AeadJob> jobs) {
    for (const AeadJob& job : jobs)
        KZ_CHECK(seal(job));
    return {};
}

Result<void> Aead::open_batch(std::span<const AeadJob> jobs) {
    for (const AeadJob& job : jobs) {
        auto opened = open(job);
        if (opened) continue;
        for (const AeadJob& other : jobs)
            std::ranges::fill(other.data, Byte{0});
        return opened;
    }
    return {};
}

}  // namespace kz::crypto
