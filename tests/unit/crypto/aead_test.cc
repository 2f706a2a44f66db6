// What holds for every cipher by every back-end.
#include "crypto/aead.h"

#include "aead_fixture.h"

namespace kz::crypto {
namespace {

class AeadEveryCipher : public testing::TestWithParam<Variant> {
  protected:
    std::unique_ptr<Aead> aead_ = GetParam().make(Bytes(cipher_key_size(GetParam().cipher), 0x42));
    Bytes nonce_ = Bytes(kNonceSize, 0x11);
    Bytes aad_ = Bytes(16, 0x22);
};

TEST_P(AeadEveryCipher, OneWrongBitAnywhereIsRefusedAndLeavesZeros) {
    const Bytes plain(40, 0x99);
    const Sealed good = seal(*aead_, nonce_, aad_, plain);
    const auto refused = [&](const Bytes& nonce, const Bytes& aad, Sealed sealed) {
        const auto done = aead_->open({nonce_of(nonce), aad, sealed.data, sealed.tag});
        return !done && done.error().code() == Errc::corrupt &&
               std::ranges::all_of(sealed.data, [](Byte byte) { return byte == 0; });
    };
    for (std::size_t bit = 0; bit < good.data.size() * 8; ++bit) {
        Sealed bad = good;
        bad.data[bit / 8] ^= static_cast<Byte>(1 << bit % 8);
        EXPECT_TRUE(refused(nonce_, aad_, bad)) << bit;
    }
    for (std::size_t bit = 0; bit < kTagSize * 8; ++bit) {
        Sealed bad = good;
        bad.tag[bit / 8] ^= static_cast<Byte>(1 << bit % 8);
        EXPECT_TRUE(refused(nonce_, aad_, bad)) << bit;
    }
    Bytes other = aad_;
    other[15] ^= 1;
    EXPECT_TRUE(refused(nonce_, other, good));
    other = nonce_;
    other[0] ^= 0x80;
    EXPECT_TRUE(refused(other, aad_, good));
    EXPECT_EQ(open(*aead_, nonce_, aad_, good).value(), plain) << "a refusal harms no later message";
}

TEST_P(AeadEveryCipher, EmptyMessagesAndEmptyAadAreAuthenticated) {
    Sealed sealed = seal(*aead_, nonce_, {}, {});
    EXPECT_TRUE(open(*aead_, nonce_, {}, sealed).has_value());
    EXPECT_FALSE(open(*aead_, nonce_, aad_, sealed).has_value());
    sealed.tag[3] ^= 1;
    EXPECT_FALSE(open(*aead_, nonce_, {}, sealed).has_value());
}

TEST_P(AeadEveryCipher, ABatchIsTheSameAsItsMessages) {
    std::vector<Bytes> data(5), tags(5, Bytes(kTagSize)), nonces;
    std::vector<AeadJob> jobs;
    for (std::size_t i = 0; i < data.size(); ++i) {
        data[i].assign(100 * i, static_cast<Byte>(i));
        nonces.emplace_back(kNonceSize, static_cast<Byte>(i + 1));
    }
    for (std::size_t i = 0; i < data.size(); ++i)
        jobs.push_back({nonce_of(nonces[i]), aad_, data[i], tags[i]});
    ASSERT_TRUE(aead_->seal_batch(jobs).has_value());
    for (std::size_t i = 0; i < data.size(); ++i) {
        const Sealed single = seal(*aead_, nonces[i], aad_, Bytes(100 * i, static_cast<Byte>(i)));
        EXPECT_EQ(single.data, data[i]);
        EXPECT_EQ(single.tag, tags[i]);
    }
    ASSERT_TRUE(aead_->open_batch(jobs).has_value());
    EXPECT_EQ(data[4], Bytes(400, 4));

    ASSERT_TRUE(aead_->seal_batch(jobs).has_value());
    tags[3][0] ^= 1;
    EXPECT_EQ(aead_->open_batch(jobs).error().code(), Errc::corrupt);
    for (const Bytes& part : data)
        EXPECT_EQ(part, Bytes(part.size(), 0)) << "also of the good ones";
}

TEST_P(AeadEveryCipher, KeysOfAnotherSizeAreRefused) {
    const auto [cipher, backend] = GetParam();
    const std::size_t size = cipher_key_size(cipher);
    EXPECT_EQ(Aead::create(cipher, Bytes(size - 1), backend).error().code(), Errc::invalid_argument);
    EXPECT_EQ(Aead::create(cipher, Bytes(size + 1), backend).error().code(), Errc::invalid_argument);
}

TEST_P(AeadEveryCipher, SizesAreChecked) {
    Bytes tag(kTagSize - 1), data(kMaxAeadMessage + 1);
    EXPECT_EQ(aead_->seal({.tag = tag}).error().code(), Errc::invalid_argument);
    tag.push_back(0);
    EXPECT_EQ(aead_->seal({.data = data, .tag = tag}).error().code(), Errc::invalid_argument);
    EXPECT_EQ(aead_->open({.data = data, .tag = tag}).error().code(), Errc::invalid_argument);
    EXPECT_EQ(aead_->seal({.aad = data, .tag = tag}).error().code(), Errc::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(Ciphers, AeadEveryCipher, testing::ValuesIn(all_variants()), variant_test_name);

TEST(Aead, ABackEndWithoutTheCipherSaysSo) {
    EXPECT_EQ(Aead::fastest_backend(Cipher::chacha20_poly1305), AeadBackend::openssl);
    EXPECT_EQ(Aead::create(Cipher::chacha20_poly1305, Bytes(32), AeadBackend::ipsec_mb).error().code(),
              Errc::unsupported);
}

TEST(Aead, NoneHasNoKey) {
    EXPECT_EQ(Aead::create(Cipher::none, {}).error().code(), Errc::invalid_argument);
}

}  // namespace
}  // namespace kz::crypto
