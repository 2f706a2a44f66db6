// What the AEAD tests share: every cipher by every back-end that this machine has for it.
#pragma once

#include <algorithm>
#include <vector>

#include "crypto/aead.h"
#include "test_bytes.h"

namespace kz::crypto {

struct Variant {
    Cipher cipher;
    AeadBackend backend;

    std::unique_ptr<Aead> make(ByteView key) const { return Aead::create(cipher, key, backend).value(); }
};

inline std::string_view backend_name(AeadBackend backend) {
    return backend == AeadBackend::openssl ? "openssl" : "ipsec_mb";
}

inline std::ostream& operator<<(std::ostream& out, const Variant& variant) {
    return out << cipher_name(variant.cipher) << " by " << backend_name(variant.backend);
}

inline std::vector<AeadBackend> backends_of(Cipher cipher) {
    std::vector<AeadBackend> backends{AeadBackend::openssl};
    if (Aead::fastest_backend(cipher) != AeadBackend::openssl)
        backends.push_back(Aead::fastest_backend(cipher));
    return backends;
}

inline std::vector<Variant> all_variants() {
    std::vector<Variant> variants;
    for (const Cipher cipher : all_ciphers()) {
        if (cipher == Cipher::none) continue;
        for (const AeadBackend backend : backends_of(cipher))
            variants.push_back({cipher, backend});
    }
    return variants;
}

inline std::string variant_test_name(const testing::TestParamInfo<Variant>& instance) {
    std::string name(cipher_name(instance.param.cipher));
    std::ranges::replace(name, '-', '_');
    return name + "_" + std::string(backend_name(instance.param.backend));
}

struct Sealed {
    Bytes data;
    Bytes tag;
    bool operator==(const Sealed&) const = default;
};

inline Nonce nonce_of(const Bytes& bytes) {
    Nonce nonce{};
    std::ranges::copy(bytes, nonce.begin());
    return nonce;
}

inline Sealed seal(Aead& aead, const Bytes& nonce, const Bytes& aad, Bytes data) {
    Bytes tag(kTagSize);
    const auto done = aead.seal({nonce_of(nonce), aad, data, tag});
    EXPECT_TRUE(done.has_value());
    return {std::move(data), std::move(tag)};
}

inline Result<Bytes> open(Aead& aead, const Bytes& nonce, const Bytes& aad, Sealed sealed) {
    KZ_CHECK(aead.open({nonce_of(nonce), aad, sealed.data, sealed.tag}));
    return sealed.data;
}

}  // namespace kz::crypto
