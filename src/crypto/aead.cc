#include "crypto/aead.h"

#include <algorithm>

#include "crypto/openssl_aead.h"

namespace kz::crypto {

Result<std::unique_ptr<Aead>> Aead::create(Cipher cipher, ByteView key) {
    if (cipher == Cipher::none) return fail(Errc::invalid_argument, "cipher 'none' has no key");
    if (key.size() != cipher_key_size(cipher))
        return fail(Errc::invalid_argument, "a key of {} bytes for {}", key.size(), cipher_name(cipher));
    return make_openssl_aead(cipher, key);
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
