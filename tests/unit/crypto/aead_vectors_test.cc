// Published answers, for every back-end.
#include "aead_fixture.h"
#include "reference_ccm.h"

namespace kz::crypto {
namespace {

struct Vector {
    std::string_view key, nonce, aad, plain, sealed, tag;
};

void expect_known_answer(Cipher cipher, const Vector& vector) {
    for (const AeadBackend backend : backends_of(cipher)) {
        const Variant variant{cipher, backend};
        const auto aead = variant.make(hex(vector.key));
        const Sealed made = seal(*aead, hex(vector.nonce), hex(vector.aad), hex(vector.plain));
        EXPECT_EQ(to_hex(made.data), vector.sealed) << variant;
        EXPECT_EQ(to_hex(made.tag), vector.tag) << variant;
        const auto opened = open(*aead, hex(vector.nonce), hex(vector.aad), made);
        ASSERT_TRUE(opened.has_value()) << variant;
        EXPECT_EQ(to_hex(*opened), vector.plain) << variant;
    }
}

constexpr std::string_view kGcmPlain =
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
    "b16aedf5aa0de657ba637b391aafd255";
constexpr std::string_view kGcmAad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";

// "The Galois/Counter Mode of Operation" (McGrew, Viega), the specification under NIST SP 800-38D.
TEST(AeadVectors, Gcm128) {
    const std::string_view zeros = "00000000000000000000000000000000", zero_iv = "000000000000000000000000";
    expect_known_answer(Cipher::aes_128_gcm,
                        {zeros, zero_iv, "", "", "", "58e2fccefa7e3061367f1d57a4e7455a"});
    expect_known_answer(Cipher::aes_128_gcm, {zeros, zero_iv, "", zeros, "0388dace60b6a392f328c2b971b2fe78",
                                              "ab6e47d42cec13bdf53a67b21257bddf"});
    const std::string_view key = "feffe9928665731c6d6a8f9467308308", iv = "cafebabefacedbaddecaf888";
    const std::string_view sealed =
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa05"
        "1ba30b396a0aac973d58e091473f5985";
    expect_known_answer(Cipher::aes_128_gcm,
                        {key, iv, "", kGcmPlain, sealed, "4d5c2af327cd64a62cf35abd2ba6fab4"});
    expect_known_answer(Cipher::aes_128_gcm, {key, iv, kGcmAad, kGcmPlain.substr(0, 120),
                                              sealed.substr(0, 120), "5bc94fbc3221a5db94fae95ae7121a47"});
}

TEST(AeadVectors, Gcm256) {
    const std::string_view zeros = "0000000000000000000000000000000000000000000000000000000000000000";
    const std::string_view zero_iv = "000000000000000000000000";
    expect_known_answer(Cipher::aes_256_gcm,
                        {zeros, zero_iv, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"});
    expect_known_answer(Cipher::aes_256_gcm,
                        {zeros, zero_iv, "", zeros.substr(0, 32), "cea7403d4d606b6e074ec5d3baf39d18",
                         "d0d1c8a799996bf0265b98b5d48ab919"});
    expect_known_answer(
        Cipher::aes_256_gcm,
        {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
         kGcmAad, kGcmPlain.substr(0, 120),
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
         "c5f61e6393ba7a0abcc9f662",
         "76fc6ece0f4e1768cddf8853bb2d551b"});
}

// RFC 8439, section 2.8.2.
TEST(AeadVectors, ChaCha20Poly1305) {
    const std::string plain = to_hex(as_bytes(
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        "sunscreen would be it."));
    expect_known_answer(
        Cipher::chacha20_poly1305,
        {"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647",
         "50515253c0c1c2c3c4c5c6c7", plain,
         "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92"
         "728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b"
         "4831d7bc3ff4def08e4b7a9de576d26586cec64b6116",
         "1ae10b594f09e26a7e902ecbd0600691"});
}

// Project Wycheproof, aes_ccm_test: the published vectors with a 12-byte nonce and a 16-byte tag, as we use
// them.
TEST(AeadVectors, Ccm128) {
    expect_known_answer(Cipher::aes_128_ccm, {"bedcfb5a011ebc84600fcb296c15af0d", "438a547a94ea88dce46c6c85",
                                              "", "", "", "25d1a38495a7dea45bda049705627d10"});
    expect_known_answer(Cipher::aes_128_ccm, {"384ea416ac3c2f51a76e7d8226346d4e", "b30c084727ad1c592ac21d12",
                                              "", "35", "d7", "6be3fd13b7065afc19e3b8a3b96b39fb"});
    expect_known_answer(Cipher::aes_128_ccm,
                        {"000102030405060708090a0b0c0d0e0f", "505152535455565758595a5b", "",
                         "202122232425262728292a2b2c2d2e2f", "3ee9f3430f3e803c0a46b7a84cd803de",
                         "3c6d5f66430ad65bb034077297f0929a"});
}

// What is published with other lengths of nonce and tag proves the reference, and the reference all lengths.
TEST(AeadVectors, TheReferenceCcmAgreesWithTheRfcAndNist) {
    Bytes message;
    for (Byte i = 0x08; i <= 0x1e; ++i)
        message.push_back(i);
    // RFC 3610, packet vector 1.
    EXPECT_EQ(
        to_hex(reference_ccm_seal(hex("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"), hex("00000003020100a0a1a2a3a4a5"),
                                  hex("0001020304050607"), message, 8)),
        "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0");
    // NIST SP 800-38C, example 3 (a 12-byte nonce).
    EXPECT_EQ(
        to_hex(reference_ccm_seal(hex("404142434445464748494a4b4c4d4e4f"), hex("101112131415161718191a1b"),
                                  hex("000102030405060708090a0b0c0d0e0f10111213"),
                                  hex("202122232425262728292a2b2c2d2e2f3031323334353637"), 8)),
        "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951");
    // NIST CAVP, VTT128, Tlen 16.
    EXPECT_EQ(
        to_hex(reference_ccm_seal(hex("4189351b5caea375a0299e81c621bf43"), hex("48c0906930561e0ab0ef4cd972"),
                                  hex("40a27c1d1e23ea3dbe8056b2774861a4a201cce49f19997d19206d8c8a343951"),
                                  hex("4535d12b4377928a7c0a61c9f825a48671ea05910748c8ef"), kTagSize)),
        "26c56961c035a7e452cce61bc6ee220d77b3f94d18fd10b6d80e8bf80f4a46cab06d4313f0db9be9");
}

TEST(AeadVectors, CcmAgreesWithTheReference) {
    const Bytes key = hex("404142434445464748494a4b4c4d4e4f");
    const Bytes nonce = hex("101112131415161718191a1b");
    for (const AeadBackend backend : backends_of(Cipher::aes_128_ccm)) {
        const Variant variant{Cipher::aes_128_ccm, backend};
        const auto aead = variant.make(key);
        for (const std::size_t size : {0, 1, 15, 16, 17, 31, 64, 255, 1000, 16'384, 65'534, 65'535, 70'000}) {
            for (const std::size_t aad_size : {0, 13, 14, 16, 20, 46, 47, 100}) {
                Bytes message(size), aad(aad_size, 0x77);
                for (std::size_t i = 0; i < size; ++i)
                    message[i] = static_cast<Byte>(i * 7);
                const Sealed sealed = seal(*aead, nonce, aad, message);
                Bytes joined = sealed.data;
                joined.insert(joined.end(), sealed.tag.begin(), sealed.tag.end());
                EXPECT_EQ(joined, reference_ccm_seal(key, nonce, aad, message, kTagSize))
                    << variant << " " << size << " " << aad_size;
                EXPECT_EQ(open(*aead, nonce, aad, sealed).value(), message) << variant << " " << size;
            }
        }
    }
}

}  // namespace
}  // namespace kz::crypto
