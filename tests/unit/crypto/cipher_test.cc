#include "crypto/cipher.h"

#include <gtest/gtest.h>

namespace kz::crypto {
namespace {

TEST(Cipher, NamesAreStableAndParseBack) {
    std::string names;
    for (const Cipher cipher : all_ciphers()) {
        names += std::string(cipher_name(cipher)) + " ";
        EXPECT_EQ(parse_cipher(cipher_name(cipher)).value(), cipher);
        EXPECT_EQ(cipher_from_number(static_cast<Byte>(cipher)).value(), cipher);
    }
    EXPECT_EQ(names, "aes-128-ccm aes-128-gcm aes-256-gcm chacha20-poly1305 none ");
    EXPECT_EQ(cipher_name(kDefaultCipher), "aes-128-ccm");
}

TEST(Cipher, UnknownOnesAreErrors) {
    EXPECT_EQ(parse_cipher("AES-128-CCM").error().message(), "unknown cipher 'AES-128-CCM'");
    EXPECT_EQ(parse_cipher("").error().code(), Errc::invalid_argument);
    EXPECT_EQ(cipher_from_number(0).error().code(), Errc::unsupported);
    EXPECT_EQ(cipher_from_number(6).error().code(), Errc::unsupported);
}

TEST(Cipher, KeySizes) {
    EXPECT_EQ(cipher_key_size(Cipher::aes_128_ccm), 16U);
    EXPECT_EQ(cipher_key_size(Cipher::aes_128_gcm), 16U);
    EXPECT_EQ(cipher_key_size(Cipher::aes_256_gcm), 32U);
    EXPECT_EQ(cipher_key_size(Cipher::chacha20_poly1305), 32U);
    EXPECT_EQ(cipher_key_size(Cipher::none), 0U);
}

}  // namespace
}  // namespace kz::crypto
