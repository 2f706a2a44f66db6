#include "crypto/hash.h"

#include "crypto/hkdf.h"
#include "crypto/random.h"
#include "test_bytes.h"

namespace kz::crypto {
namespace {

TEST(Sha256, KnownAnswers) {
    EXPECT_EQ(to_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, PartsGiveTheSameAsTheWhole) {
    const Bytes data(100'000, 0x5a);
    Sha256 hash;
    for (std::size_t at = 0; at < data.size(); at += 999)
        hash.update(ByteView(data).subspan(at, std::min<std::size_t>(999, data.size() - at)));
    EXPECT_EQ(hash.finish(), sha256(data));
    hash.update(as_bytes("abc"));
    EXPECT_EQ(hash.finish(), sha256(as_bytes("abc"))) << "finish() starts afresh";
}

// RFC 4231, cases 1, 2 and 6.
TEST(Hmac, KnownAnswers) {
    EXPECT_EQ(to_hex(hmac_sha256(Bytes(20, 0x0b), as_bytes("Hi There")).value()),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?")).value()),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(to_hex(hmac_sha256(Bytes(131, 0xaa),
                                 as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))
                         .value()),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    EXPECT_EQ(to_hex(hmac_sha256({}, {}).value()),
              "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

// RFC 5869, test cases 1 to 3.
TEST(Hkdf, KnownAnswers) {
    const Bytes ikm(22, 0x0b);
    const Bytes info = hex("f0f1f2f3f4f5f6f7f8f9");
    EXPECT_EQ(to_hex(hkdf_sha256(ikm, hex("000102030405060708090a0b0c"), as_text(info), 42)->view()),
              "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");

    Bytes long_ikm, long_salt, long_info;
    for (int i = 0; i < 80; ++i) {
        long_ikm.push_back(static_cast<Byte>(i));
        long_salt.push_back(static_cast<Byte>(0x60 + i));
        long_info.push_back(static_cast<Byte>(0xb0 + i));
    }
    EXPECT_EQ(
        to_hex(hkdf_sha256(long_ikm, long_salt, as_text(long_info), 82)->view()),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
    EXPECT_EQ(to_hex(hkdf_sha256(ikm, {}, "", 42)->view()),
              "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(Hkdf, RefusesWhatItCannotDo) {
    EXPECT_EQ(hkdf_sha256({}, {}, "x", 16).error().code(), Errc::invalid_argument);
    EXPECT_EQ(hkdf_sha256(Bytes(16), {}, "x", 0).error().code(), Errc::invalid_argument);
    EXPECT_EQ(hkdf_sha256(Bytes(16), {}, "x", 255 * 32 + 1).error().code(), Errc::invalid_argument);
    EXPECT_TRUE(hkdf_sha256(Bytes(16), {}, "x", 255 * 32).has_value());
}

TEST(Random, FillsAllAndDiffers) {
    const Bytes a = random_bytes(64).value();
    const Bytes b = random_bytes(64).value();
    EXPECT_NE(a, b);
    EXPECT_EQ(random_secret(33)->size(), 33U);
    EXPECT_TRUE(fill_random({}).has_value());
}

}  // namespace
}  // namespace kz::crypto
