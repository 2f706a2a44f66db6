// Cipher: which AEAD protects a stream or an image. A plain value; for every floor from crypto upwards.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace kz::crypto {

// The numbers are on wires and disks: append only, 0 is never valid. `none` leaves the data in clear; who
// connects is still authenticated (stream/hello.h).
enum class Cipher : std::uint8_t {
    aes_128_ccm = 1,
    aes_128_gcm = 2,
    aes_256_gcm = 3,
    chacha20_poly1305 = 4,
    none = 5,
};

inline constexpr Cipher kDefaultCipher = Cipher::aes_128_ccm;

// All ciphers in the order in which they are shown and negotiated; `none` is the last.
std::span<const Cipher> all_ciphers();

// "aes-128-ccm", "aes-128-gcm", "aes-256-gcm", "chacha20-poly1305", "none".
std::string_view cipher_name(Cipher cipher);
// The inverse; anything else is Errc::invalid_argument.
Result<Cipher> parse_cipher(std::string_view name);
// From a byte of a wire or a disk; unknown numbers are Errc::unsupported.
Result<Cipher> cipher_from_number(Byte number);

// Bytes of key; 0 for `none`.
std::size_t cipher_key_size(Cipher cipher);

}  // namespace kz::crypto
