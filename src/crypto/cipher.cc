#include "crypto/cipher.h"

#include <array>

namespace kz::crypto {
namespace {

struct Row {
    Cipher cipher;
    std::string_view name;
    std::size_t key_size;
};

constexpr std::array kRows = {
    Row{Cipher::aes_128_ccm, "aes-128-ccm", 16},
    Row{Cipher::aes_128_gcm, "aes-128-gcm", 16},
    Row{Cipher::aes_256_gcm, "aes-256-gcm", 32},
    Row{Cipher::chacha20_poly1305, "chacha20-poly1305", 32},
    Row{Cipher::none, "none", 0},
};

constexpr auto kCiphers = [] {
    std::array<Cipher, kRows.size()> ciphers{};
    for (std::size_t i = 0; i < kRows.size(); ++i)
        ciphers[i] = kRows[i].cipher;
    return ciphers;
}();

const Row& row_of(Cipher cipher) {
    for (const Row& row : kRows) {
        if (row.cipher == cipher) return row;
    }
    return kRows.back();
}

}  // namespace

std::span<const Cipher> all_ciphers() {
    return kCiphers;
}

std::string_view cipher_name(Cipher cipher) {
    return row_of(cipher).name;
}

Result<Cipher> parse_cipher(std::string_view name) {
    for (const Row& row : kRows) {
        if (row.name == name) return row.cipher;
    }
    return fail(Errc::invalid_argument, "unknown cipher '{}'", name);
}

Result<Cipher> cipher_from_number(Byte number) {
    for (const Row& row : kRows) {
        if (static_cast<Byte>(row.cipher) == number) return row.cipher;
    }
    return fail(Errc::unsupported, "unknown cipher number {}", number);
}

std::size_t cipher_key_size(Cipher cipher) {
    return row_of(cipher).key_size;
}

}  // namespace kz::crypto
