#include "crypto/aead.h"

#include <algorithm>

#include "crypto/random.h"
#include "reference_ccm.h"
#include "test_bytes.h"

namespace kz::crypto {
namespace {

struct Sealed {
    Bytes data;
    Bytes tag;
};

Nonce nonce_of(const Bytes& bytes) {
    Nonce nonce{};
    std::ranges::copy(bytes, nonce.begin());
    return nonce;
}

Sealed seal(Aead& aead, const Bytes& nonce, const Bytes& aad, Bytes data) {
    Bytes tag(kTagSize);
    const auto done = aead.seal({nonce_of(nonce), aad, data, tag});
    EXPECT_TRUE(done.has_value());
    return {std::move(data), std::move(tag)};
}

Result<Bytes> open(Aead& aead, const Bytes& nonce, const Bytes& aad, Sealed sealed) {
    KZ_CHECK(aead.open({nonce_of(nonce), aad, sealed.data, sealed.tag}));
    return sealed.data;
}

void expect_known_answer(Cipher cipher, std::string_view key, std::string_view nonce, std::string_view aad,
                         std::string_view plain, std::string_view sealed, std::string_view tag) {
    const auto aead = Aead::create(cipher, hex(key)).value();
    const Sealed made = seal(*aead, hex(nonce), hex(aad), hex(plain));
    EXPECT_EQ(to_hex(made.data), sealed) << cipher_name(cipher);
    EXPECT_EQ(to_hex(made.tag), tag) << cipher_name(cipher);
    EXPECT_EQ(to_hex(open(*aead, hex(nonce), hex(aad), made).value()), plain) << cipher_name(cipher);
}

// "The Galois/Counter Mode of Operation", test cases 2, 4 and 16.
TEST(Aead, GcmKnownAnswers) {
    expect_known_answer(Cipher::aes_128_gcm, "00000000000000000000000000000000", "000000000000000000000000",
                        "", "00000000000000000000000000000000", "0388dace60b6a392f328c2b971b2fe78",
                        "ab6e47d42cec13bdf53a67b21257bddf");
    const std::string_view plain =
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
        "b16aedf5aa0de657ba637b39";
    const std::string_view aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    expect_known_answer(
        Cipher::aes_128_gcm, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", aad, plain,
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa05"
        "1ba30b396a0aac973d58e091",
        "5bc94fbc3221a5db94fae95ae7121a47");
    expect_known_answer(
        Cipher::aes_256_gcm, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        "cafebabefacedbaddecaf888", aad, plain,
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
        "c5f61e6393ba7a0abcc9f662",
        "76fc6ece0f4e1768cddf8853bb2d551b");
}

// RFC 8439, section 2.8.2.
TEST(Aead, ChachaKnownAnswer) {
    const std::string text =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        "sunscreen "
        "would be it.";
    expect_known_answer(
        Cipher::chacha20_poly1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7", to_hex(as_bytes(text)),
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92"
        "728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b"
        "4831d7bc3ff4def08e4b7a9de576d26586cec64b6116",
        "1ae10b594f09e26a7e902ecbd0600691");
}

// RFC 3610, packet vector 1: the reference is right, so what agrees with it is.
TEST(Aead, ReferenceCcmAgreesWithTheRfc) {
    Bytes message;
    for (Byte i = 0x08; i <= 0x1e; ++i)
        message.push_back(i);
    EXPECT_EQ(
        to_hex(reference_ccm_seal(hex("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"), hex("00000003020100a0a1a2a3a4a5"),
                                  hex("0001020304050607"), message, 8)),
        "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0");
}

TEST(Aead, CcmAgreesWithTheReference) {
    const Bytes key = hex("404142434445464748494a4b4c4d4e4f");
    const Bytes nonce = hex("101112131415161718191a1b");
    const auto aead = Aead::create(Cipher::aes_128_ccm, key).value();
    for (const std::size_t size : {0, 1, 15, 16, 17, 64, 1000, 16384}) {
        for (const std::size_t aad_size : {0, 16, 20}) {
            Bytes message(size), aad(aad_size, 0x77);
            for (std::size_t i = 0; i < size; ++i)
                message[i] = static_cast<Byte>(i * 7);
            const Sealed sealed = seal(*aead, nonce, aad, message);
            Bytes joined = sealed.data;
            joined.insert(joined.end(), sealed.tag.begin(), sealed.tag.end());
            EXPECT_EQ(joined, reference_ccm_seal(key, nonce, aad, message, kTagSize))
                << size << " " << aad_size;
            EXPECT_EQ(open(*aead, nonce, aad, sealed).value(), message) << size << " " << aad_size;
        }
    }
}

class AeadEveryCipher : public testing::TestWithParam<Cipher> {
  protected:
    std::unique_ptr<Aead> aead_ = Aead::create(GetParam(), Bytes(cipher_key_size(GetParam()), 0x42)).value();
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
    const std::size_t size = cipher_key_size(GetParam());
    EXPECT_EQ(Aead::create(GetParam(), Bytes(size - 1)).error().code(), Errc::invalid_argument);
    EXPECT_EQ(Aead::create(GetParam(), Bytes(size + 1)).error().code(), Errc::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(Ciphers, AeadEveryCipher,
                         testing::Values(Cipher::aes_128_ccm, Cipher::aes_128_gcm, Cipher::aes_256_gcm,
                                         Cipher::chacha20_poly1305),
                         [](const auto& instance) {
                             std::string name(cipher_name(instance.param));
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

TEST(Aead, SizesAreChecked) {
    const auto aead = Aead::create(Cipher::aes_128_ccm, Bytes(16)).value();
    Bytes tag(kTagSize - 1), data(kMaxAeadMessage + 1);
    EXPECT_EQ(aead->seal({.tag = tag}).error().code(), Errc::invalid_argument);
    tag.push_back(0);
    EXPECT_EQ(aead->seal({.data = data, .tag = tag}).error().code(), Errc::invalid_argument);
    EXPECT_EQ(aead->open({.data = data, .tag = tag}).error().code(), Errc::invalid_argument);
}

TEST(Aead, NoneHasNoKey) {
    EXPECT_EQ(Aead::create(Cipher::none, {}).error().code(), Errc::invalid_argument);
}

}  // namespace
}  // namespace kz::crypto
