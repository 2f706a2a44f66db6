// The back-ends put the same bytes on the wire: each opens what the other sealed, whatever the sizes.
#include <numeric>
#include <random>

#include "aead_fixture.h"

namespace kz::crypto {
namespace {

constexpr Cipher kShared[] = {Cipher::aes_128_ccm, Cipher::aes_128_gcm, Cipher::aes_256_gcm};

class AeadBackends : public testing::TestWithParam<Cipher> {
  protected:
    void SetUp() override {
        if (Aead::fastest_backend(GetParam()) == AeadBackend::openssl)
            GTEST_SKIP() << "this machine has one back-end";
    }
    std::unique_ptr<Aead> make(AeadBackend backend) const {
        return Variant{GetParam(), backend}.make(Bytes(cipher_key_size(GetParam()), 0x17));
    }
    static Bytes message_of(std::size_t size, std::size_t seed) {
        std::minstd_rand random(static_cast<unsigned>(seed + 1));
        Bytes message(size);
        std::ranges::generate(message, [&] { return static_cast<Byte>(random() >> 8); });
        return message;
    }
};

TEST_P(AeadBackends, EachOpensWhatTheOtherSealed) {
    const auto ours = make(AeadBackend::ipsec_mb), theirs = make(AeadBackend::openssl);
    const Bytes nonce(kNonceSize, 0x31), aad(16, 0x55);
    std::vector<std::size_t> sizes(300);
    std::iota(sizes.begin(), sizes.end(), 0);
    for (const std::size_t border : {512UL, 768UL, 1024UL, 4096UL, 16'384UL, 65'536UL, 262'144UL})
        sizes.insert(sizes.end(), {border - 17, border - 16, border - 1, border, border + 1, border + 15});
    for (const std::size_t size : sizes) {
        const Bytes plain = message_of(size, size);
        const Sealed sealed = seal(*ours, nonce, aad, plain);
        EXPECT_TRUE(sealed == seal(*theirs, nonce, aad, plain)) << size;
        EXPECT_EQ(open(*theirs, nonce, aad, sealed).value(), plain) << size;
        EXPECT_EQ(open(*ours, nonce, aad, sealed).value(), plain) << size;
    }
}

struct Batch {
    std::vector<Bytes> data, tags;

    explicit Batch(const std::vector<Bytes>& plain) : data(plain), tags(plain.size(), Bytes(kTagSize)) {}
    std::vector<AeadJob> jobs(const Bytes& aad) {
        std::vector<AeadJob> made;
        for (std::size_t i = 0; i < data.size(); ++i)
            made.push_back({nonce_of(Bytes(kNonceSize, static_cast<Byte>(i))), aad, data[i], tags[i]});
        return made;
    }
    bool operator==(const Batch&) const = default;
};

TEST_P(AeadBackends, BatchesOfUnequalLanesAreTheSame) {
    const auto ours = make(AeadBackend::ipsec_mb), theirs = make(AeadBackend::openssl);
    const Bytes aad(16, 0x66);
    std::minstd_rand random(1);
    for (std::size_t lanes = 1; lanes <= 40; lanes = lanes < 17 ? lanes + 1 : lanes * 2) {
        std::vector<Bytes> plain;
        for (std::size_t i = 0; i < lanes; ++i)
            plain.push_back(message_of(i % 5 == 4 ? 0 : random() % 20'000, lanes * 100 + i));
        Batch mine(plain), other(plain);
        ASSERT_TRUE(ours->seal_batch(mine.jobs(aad)).has_value());
        ASSERT_TRUE(theirs->seal_batch(other.jobs(aad)).has_value());
        EXPECT_TRUE(mine == other) << lanes;
        ASSERT_TRUE(theirs->open_batch(mine.jobs(aad)).has_value());
        ASSERT_TRUE(ours->open_batch(other.jobs(aad)).has_value());
        EXPECT_TRUE(mine.data == plain && other.data == plain) << lanes;
    }
}

TEST_P(AeadBackends, OneDamagedLaneOfABatchLeavesNothingOfAny) {
    const auto ours = make(AeadBackend::ipsec_mb);
    const Bytes aad(16, 0x66);
    for (std::size_t lanes = 1; lanes <= 20; ++lanes) {
        for (std::size_t damaged = 0; damaged < lanes; ++damaged) {
            std::vector<Bytes> plain(lanes, Bytes(100 + lanes, 0x5c));
            Batch batch(plain);
            ASSERT_TRUE(ours->seal_batch(batch.jobs(aad)).has_value());
            batch.data[damaged][50] ^= 1;
            EXPECT_EQ(ours->open_batch(batch.jobs(aad)).error().code(), Errc::corrupt);
            for (const Bytes& data : batch.data)
                EXPECT_EQ(data, Bytes(data.size(), 0)) << lanes << " " << damaged;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Ciphers, AeadBackends, testing::ValuesIn(kShared), [](const auto& instance) {
    std::string name(cipher_name(instance.param));
    std::ranges::replace(name, '-', '_');
    return name;
});

}  // namespace
}  // namespace kz::crypto
