#include "crypto/ipsec_mb/self_test.h"

#include <algorithm>

#include "crypto/ipsec_mb/aead.h"
#include "crypto/openssl_aead.h"

namespace kz::crypto {
namespace {

// Long enough for the wide code paths, and with a rest.
constexpr std::size_t kMessage = 1000;

struct Sealed {
    std::array<Byte, kMessage> data{};
    std::array<Byte, kTagSize> tag{};
    bool operator==(const Sealed&) const = default;
};

AeadJob job_of(Sealed& message, ByteView aad) {
    return {.nonce = {1, 2, 3}, .aad = aad, .data = message.data, .tag = message.tag};
}

// OpenSSL's answer is the known one: both must say the same, in both directions.
bool agrees(const IpsecMb& library, Cipher cipher) {
    const std::array<Byte, 16> aad{4, 5, 6};
    const Bytes key(cipher_key_size(cipher), 0x5a);
    const auto theirs = make_ipsec_mb_aead(library, cipher, key);
    const auto known = make_openssl_aead(cipher, key);
    if (!theirs || !known) return false;
    Sealed message, expected;
    if (!(*theirs)->seal(job_of(message, aad)) || !(*known)->seal(job_of(expected, aad))) return false;
    if (message != expected) return false;
    if (!(*theirs)->open(job_of(message, aad))) return false;
    expected.tag[0] ^= 1;
    return std::ranges::all_of(message.data, [](Byte byte) { return byte == 0; }) &&
           !(*theirs)->open(job_of(expected, aad));
}

}  // namespace

bool ipsec_mb_works(const IpsecMb& library) {
    return std::ranges::all_of(all_ciphers(), [&library](Cipher cipher) {
        return !ipsec_mb_has(cipher) || agrees(library, cipher);
    });
}

}  // namespace kz::crypto
