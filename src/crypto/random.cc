#include "crypto/random.h"

#include <openssl/rand.h>

#include <algorithm>
#include <climits>

#include "crypto/openssl.h"

namespace kz::crypto {

Result<void> fill_random(MutableBytes out) {
    while (!out.empty()) {
        const std::size_t part = std::min<std::size_t>(out.size(), INT_MAX);
        if (RAND_bytes(out.data(), static_cast<int>(part)) != 1) return openssl_failure("random bytes");
        out = out.subspan(part);
    }
    return {};
}

Result<Secret> random_secret(std::size_t size) {
    Secret secret = Secret::of_size(size);
    KZ_CHECK(fill_random(secret.mutable_view()));
    return secret;
}

Result<Bytes> random_bytes(std::size_t size) {
    Bytes bytes(size);
    KZ_CHECK(fill_random(bytes));
    return bytes;
}

}  // namespace kz::crypto
