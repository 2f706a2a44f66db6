#include "stream/record.h"

#include <set>

#include "stream/record_cipher.h"
#include "stream_fixture.h"

namespace kz::stream {

class SealerTestAccess {
  public:
    static void set_sequence(RecordSealer& sealer, std::uint64_t sequence) { sealer.sequence_ = sequence; }
    static std::unique_ptr<crypto::Aead>& aead(RecordSealer& sealer) { return sealer.cipher_.aead_; }
};

namespace {

using crypto::Cipher;

class EveryCipher : public testing::TestWithParam<Variant> {
  protected:
    Cipher cipher() const { return GetParam().cipher; }
    ChannelKeys keys_ = golden_keys(GetParam().cipher);
};

class EverySealingCipher : public EveryCipher {
  protected:
    // Whether what was opened is the plain bytes of some whole records from the front, and an error ended it.
    static bool is_refused(const Opened& opened, const std::vector<Bytes>& plain) {
        if (opened.end.has_value() || opened.end.error().code() != Errc::corrupt) return false;
        Bytes prefix;
        for (const Bytes& part : plain) {
            if (opened.plain == prefix) return true;
            prefix.insert(prefix.end(), part.begin(), part.end());
        }
        return opened.plain == prefix;
    }
    bool refuses(ByteView stream) const { return is_refused(open_all(GetParam(), keys_, stream), plain_); }

    std::vector<Bytes> plain_ = {pattern(40, 0), pattern(60, 1), pattern(3, 2)};
    std::vector<Bytes> records_ = seal_all(GetParam(), keys_, plain_);
};

TEST_P(EveryCipher, GoldenBytes) {
    const std::vector<Bytes> plain = {pattern(100, 0), pattern(20000, 1)};
    const Bytes golden = read_golden(fmt::format("records-{}.bin", crypto::cipher_name(cipher())));
    EXPECT_EQ(join(seal_all(GetParam(), keys_, plain)), golden);
    const Opened opened = open_all(GetParam(), keys_, golden);
    EXPECT_TRUE(opened.end.has_value());
    EXPECT_EQ(opened.plain, join(plain));
}

TEST_P(EveryCipher, RoundTripOfAllSizesHoweverItArrives) {
    std::vector<Bytes> plain;
    for (const std::size_t size : {1UL, 15UL, 16UL, kLaneSize - 1, kLaneSize, kLaneSize + 1, 5 * kLaneSize,
                                   kMaxPayload - 1, kMaxPayload})
        plain.push_back(pattern(size, size));
    for (const Compression compression :
         {Compression::off, Compression::zstd, Compression::lz4, Compression::adaptive}) {
        const Bytes stream = join(seal_all(GetParam(), keys_, plain, compression));
        for (const std::size_t step : {997UL, 65'536UL, kMaxRecordSize, 3 * kMaxRecordSize}) {
            const Opened opened = open_all(GetParam(), keys_, stream, step);
            EXPECT_TRUE(opened.end.has_value()) << step;
            EXPECT_EQ(opened.plain, join(plain)) << step;
        }
    }
}

TEST_P(EveryCipher, WhatOneBackEndSealedAnyOpens) {
    const std::vector<Bytes> plain = {pattern(100, 0), pattern(kMaxPayload, 1), pattern(40'001, 2)};
    const Bytes stream = join(seal_all(GetParam(), keys_, plain));
    for (const Variant& other : all_variants()) {
        if (other.cipher != cipher()) continue;
        const Opened opened = open_all(other, keys_, stream);
        EXPECT_TRUE(opened.end.has_value());
        EXPECT_EQ(opened.plain, join(plain));
    }
}

TEST_P(EveryCipher, AnEmptyChannelIsOneRecord) {
    const Bytes stream = join(seal_all(GetParam(), keys_, {}));
    EXPECT_EQ(stream.size(), sealed_size(cipher(), 0));
    EXPECT_TRUE(open_all(GetParam(), keys_, stream, 1).end.has_value());
}

TEST_P(EveryCipher, TruncationAtEveryByteIsAnError) {
    const std::vector<Bytes> plain = {pattern(40, 0), pattern(60, 1)};
    const Bytes stream = join(seal_all(GetParam(), keys_, plain));
    for (std::size_t size = 0; size < stream.size(); ++size)
        EXPECT_EQ(open_all(GetParam(), keys_, ByteView(stream).first(size)).end.error().code(), Errc::corrupt)
            << size;
}

TEST_P(EveryCipher, DataAfterTheEndIsAnError) {
    Bytes stream = join(seal_all(GetParam(), keys_, {pattern(40, 0)}));
    stream.push_back(0);
    EXPECT_EQ(open_all(GetParam(), keys_, stream).end.error().code(), Errc::corrupt);
}

TEST_P(EverySealingCipher, AFlippedBitAtEveryByteIsRefused) {
    const Bytes stream = join(records_);
    for (std::size_t at = 0; at < stream.size(); ++at) {
        for (const int bit : {0, static_cast<int>(at % 8), 7}) {
            Bytes bad = stream;
            bad[at] ^= static_cast<Byte>(1 << bit);
            EXPECT_TRUE(refuses(bad)) << "byte " << at << " bit " << bit;
        }
    }
}

TEST_P(EverySealingCipher, AFlippedBitInAnyLaneIsRefused) {
    const std::vector<Bytes> plain = {pattern(3 * kLaneSize + 5, 0)};
    const Bytes stream = join(seal_all(GetParam(), keys_, plain));
    for (std::size_t at = 0; at < stream.size(); at += at % kLaneSize < 40 ? 1 : 1009) {
        Bytes bad = stream;
        bad[at] ^= 0x10;
        EXPECT_TRUE(is_refused(open_all(GetParam(), keys_, bad), plain)) << at;
    }
}

TEST_P(EverySealingCipher, ReorderedRepeatedAndLostRecordsAreRefused) {
    const auto with = [&](std::initializer_list<std::size_t> order) {
        std::vector<Bytes> parts;
        for (const std::size_t i : order)
            parts.push_back(records_[i]);
        return join(parts);
    };
    EXPECT_FALSE(refuses(with({0, 1, 2, 3})));
    EXPECT_TRUE(refuses(with({1, 0, 2, 3})));
    EXPECT_TRUE(refuses(with({0, 2, 1, 3})));
    EXPECT_TRUE(refuses(with({0, 0, 1, 2, 3})));
    EXPECT_TRUE(refuses(with({0, 1, 1, 2, 3})));
    EXPECT_TRUE(refuses(with({0, 2, 3})));
    EXPECT_TRUE(refuses(with({0, 1, 3})));
    EXPECT_TRUE(refuses(with({3})));
    EXPECT_TRUE(refuses(with({1, 2, 3})));
}

TEST_P(EverySealingCipher, SwappedLanesAreRefused) {
    std::vector<Bytes> plain = {Bytes(2 * kLaneSize, 0x11)};
    Bytes stream = join(seal_all(GetParam(), keys_, plain));
    const auto payload = stream.begin() + kRecordHeaderSize;
    std::swap_ranges(payload, payload + kLaneSize, payload + kLaneSize);
    if (cipher() == Cipher::aes_128_ccm) {
        const auto tags = payload + 2 * kLaneSize;
        std::swap_ranges(tags, tags + 16, tags + 16);
    }
    EXPECT_TRUE(is_refused(open_all(GetParam(), keys_, stream), plain));
}

TEST_P(EverySealingCipher, RecordsOfAnotherChannelDirectionOrCipherAreRefused) {
    const auto keys_of = [&](std::uint32_t channel, Direction direction, std::string_view purpose) {
        return derive_channel_keys(counting(32, 0), counting(16, 32), purpose, cipher(), channel, direction)
            .value();
    };
    for (const ChannelKeys& other :
         {keys_of(4, Direction::forward, "golden"), keys_of(3, Direction::backward, "golden"),
          keys_of(3, Direction::forward, "other")}) {
        const Opened opened = open_all(GetParam(), other, join(records_));
        EXPECT_EQ(opened.plain.size(), 0U);
        EXPECT_EQ(opened.end.error().code(), Errc::corrupt);
    }
}

TEST_P(EverySealingCipher, CompressedRecordsAreRefusedWhenDamagedToo) {
    const std::vector<Bytes> plain = {Bytes(5000, 0x61), Bytes(70'000, 0x62)};
    for (const Compression compression : {Compression::zstd, Compression::lz4}) {
        const Bytes stream = join(seal_all(GetParam(), keys_, plain, compression));
        ASSERT_LT(stream.size(), 800U);
        for (std::size_t at = 0; at < stream.size(); ++at) {
            Bytes bad = stream;
            bad[at] ^= 0x04;
            EXPECT_TRUE(is_refused(open_all(GetParam(), keys_, bad), plain)) << at;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Record, EveryCipher, testing::ValuesIn(all_variants()), variant_test_name);
INSTANTIATE_TEST_SUITE_P(Record, EverySealingCipher, testing::ValuesIn(sealing_variants()),
                         variant_test_name);

constexpr Variant kGcm{Cipher::aes_128_gcm, crypto::AeadBackend::automatic};

TEST(Record, IncompressibleDataIsStoredAsItIs) {
    const ChannelKeys keys = golden_keys(kGcm.cipher);
    Bytes noise(100'000);
    std::uint64_t state = 88172645463325252ULL;
    for (Byte& byte : noise) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        byte = static_cast<Byte>(state >> 32);
    }
    for (const Compression compression : {Compression::zstd, Compression::lz4, Compression::adaptive}) {
        const auto records = seal_all(kGcm, keys, {noise, Bytes(5, 7), Bytes(1, 7)}, compression);
        EXPECT_EQ(records[0].size(), sealed_size(kGcm.cipher, noise.size()));
        EXPECT_EQ(records[0][5], 0);
        EXPECT_EQ(records[1].size(), sealed_size(kGcm.cipher, 5));
        EXPECT_EQ(records[2].size(), sealed_size(kGcm.cipher, 1));
    }
}

TEST(Record, EachCompressionLeavesItsMark) {
    const ChannelKeys keys = golden_keys(kGcm.cipher);
    const std::vector<Bytes> plain = {Bytes(100'000, 0x41)};
    EXPECT_EQ(seal_all(kGcm, keys, plain, Compression::off)[0][5], 0);
    EXPECT_EQ(seal_all(kGcm, keys, plain, Compression::zstd)[0][5], kFlagZstd);
    EXPECT_EQ(seal_all(kGcm, keys, plain, Compression::lz4)[0][5], kFlagLz4);
    EXPECT_EQ(seal_all(kGcm, keys, plain, Compression::adaptive)[0][5], 0) << "nothing is known of the link";
}

TEST(Record, ZerosAreMadeSmallEvenWhereNothingElseIsCompressed) {
    const auto records =
        seal_all(kGcm, golden_keys(kGcm.cipher), {Bytes(kMaxPayload)}, Compression::adaptive);
    EXPECT_EQ(records[0][5], kFlagLz4);
    EXPECT_LT(records[0].size(), 2000U);
}

TEST(Record, AdaptiveFollowsWhatSendingCosts) {
    using namespace std::chrono_literals;
    RecordSealer sealer =
        RecordSealer::create(kGcm.cipher, golden_keys(kGcm.cipher), Compression::adaptive).value();
    const Bytes plain(100'000, 0x41);
    std::vector<Byte> flags;
    for (int i = 0; i < 30; ++i) {
        flags.push_back(seal_one(sealer, plain)[5]);
        sealer.report({.plain = plain.size(), .work = 1ms, .link_wait = 10ms, .peer_wait = 0ms});
    }
    EXPECT_EQ(flags.front(), 0);
    EXPECT_EQ(flags[10], kFlagLz4);
    EXPECT_EQ(flags.back(), kFlagZstd);
}

TEST(Record, AnOpenerKnowsHowMuchIsMissing) {
    RecordSealer sealer =
        RecordSealer::create(kGcm.cipher, golden_keys(kGcm.cipher), Compression::off).value();
    RecordOpener opener = RecordOpener::create(kGcm.cipher, golden_keys(kGcm.cipher)).value();
    const Bytes record = seal_one(sealer, pattern(1000, 0));
    EXPECT_EQ(opener.missing(), kRecordHeaderSize);
    for (std::size_t at = 0; at < record.size(); ++at) {
        opener.space()[0] = record[at];
        opener.commit(1);
        if (at + 1 == record.size()) break;
        EXPECT_FALSE(opener.next()->has_value());
        EXPECT_EQ(opener.missing(), at + 1 < 16 ? 16 - (at + 1) : record.size() - (at + 1));
    }
    EXPECT_EQ(opener.next().value()->bytes.size(), 1000U);
    EXPECT_EQ(opener.missing(), kRecordHeaderSize);
}

TEST(Record, HeadersThatTheLayoutForbids) {
    std::array<Byte, kRecordHeaderSize> good{};
    encode_record_header({.length = 10, .sequence = 1}, good);
    ASSERT_TRUE(decode_record_header(good).has_value());
    const auto refused = [&](std::size_t at, Byte value) {
        auto bad = good;
        bad[at] = value;
        const auto header = decode_record_header(bad);
        return !header && header.error().code() == Errc::corrupt;
    };
    EXPECT_TRUE(refused(0, 0)) << "a data record without data";
    EXPECT_TRUE(refused(2, 5)) << "longer than 256 KiB";
    EXPECT_TRUE(refused(3, 0x80));
    EXPECT_TRUE(refused(4, 0));
    EXPECT_TRUE(refused(4, 2)) << "a final record with data";
    EXPECT_TRUE(refused(4, 3));
    EXPECT_FALSE(refused(5, kFlagLz4));
    EXPECT_TRUE(refused(5, kFlagZstd | kFlagLz4)) << "one codec at most";
    EXPECT_TRUE(refused(5, 4)) << "a flag that is not defined yet";
    EXPECT_TRUE(refused(6, 1));
    EXPECT_TRUE(refused(7, 1));
}

TEST(Record, UnauthenticatedBytesThatClaimToBeCompressedAreHeldToTheirLimits) {
    const auto open_none = [](Byte flags, Bytes payload) {
        Bytes stream(kRecordHeaderSize);
        encode_record_header({.length = static_cast<std::uint32_t>(payload.size()), .flags = flags},
                             std::span<Byte, kRecordHeaderSize>(stream));
        stream.insert(stream.end(), payload.begin(), payload.end());
        return open_all({Cipher::none, crypto::AeadBackend::automatic}, {}, stream).end;
    };
    for (const Byte flags : {kFlagZstd, kFlagLz4}) {
        EXPECT_EQ(open_none(flags, {1}).error().code(), Errc::corrupt);
        EXPECT_EQ(open_none(flags, {0xff, 0xff, 0xff, 0xff, 1, 2, 3}).error().code(), Errc::corrupt);
        EXPECT_EQ(open_none(flags, {0, 1, 0, 0, 1, 2, 3}).error().code(), Errc::corrupt);
        EXPECT_EQ(open_none(flags, Bytes(8, 0)).error().code(), Errc::corrupt);
    }
}

TEST(Record, NoncesNeverRepeat) {
    const crypto::Nonce salt = golden_keys(Cipher::aes_128_ccm).nonce_salt;
    std::set<crypto::Nonce> seen;
    std::size_t made = 0;
    for (const std::uint64_t base : {std::uint64_t{0}, std::uint64_t{1} << 16, kMaxRecords - 2000}) {
        for (std::uint64_t sequence = base; sequence < base + 2000; ++sequence) {
            for (std::size_t lane = 0; lane < kMaxLanes; ++lane, ++made)
                seen.insert(lane_nonce(salt, sequence, lane));
        }
    }
    EXPECT_EQ(seen.size(), made);
}

// Does the work of another and keeps all nonces; fails when told to.
class WatchedAead final : public crypto::Aead {
  public:
    explicit WatchedAead(std::unique_ptr<crypto::Aead> inner) : inner_(std::move(inner)) {}
    Result<void> seal(const crypto::AeadJob& job) override {
        EXPECT_TRUE(nonces.insert(job.nonce).second) << "a nonce is used a second time";
        if (failing) return fail(Errc::internal, "as told");
        return inner_->seal(job);
    }
    Result<void> open(const crypto::AeadJob& job) override { return inner_->open(job); }

    std::set<crypto::Nonce> nonces;
    bool failing = false;

  private:
    std::unique_ptr<crypto::Aead> inner_;
};

TEST_P(EverySealingCipher, NoNonceIsUsedTwiceInTheLifeOfAChannel) {
    for (const Compression compression : {Compression::off, Compression::zstd, Compression::adaptive}) {
        RecordSealer sealer = RecordSealer::create(cipher(), keys_, compression, GetParam().backend).value();
        auto& aead = SealerTestAccess::aead(sealer);
        auto owned = std::make_unique<WatchedAead>(std::move(aead));
        WatchedAead& watched = *owned;
        aead = std::move(owned);
        std::size_t lanes = 0;
        for (std::size_t i = 0; i < 300; ++i) {
            const std::size_t size = 1 + (i * 7919 * 31) % kMaxPayload;
            std::ranges::fill(sealer.space(), static_cast<Byte>(i % 3));
            const auto record = sealer.seal(size);
            ASSERT_TRUE(record.has_value());
            lanes += lane_count(cipher(), load_le<std::uint32_t>(record->data()));
            EXPECT_FALSE(sealer.seal(0).has_value()) << "what is refused uses no nonce";
        }
        EXPECT_EQ(watched.nonces.size(), lanes);
        watched.failing = true;
        EXPECT_FALSE(sealer.seal(100).has_value());
        watched.failing = false;
        EXPECT_FALSE(sealer.seal(100).has_value()) << "after a failure nothing more is sealed";
        EXPECT_FALSE(sealer.seal_final().has_value());
        EXPECT_EQ(watched.nonces.size(), lanes + 1);
    }
}

TEST(Record, NumbersAreNeverUsedTwice) {
    const ChannelKeys keys = golden_keys(Cipher::aes_128_gcm);
    RecordSealer sealer = RecordSealer::create(Cipher::aes_128_gcm, keys, Compression::off).value();
    EXPECT_EQ(sealer.seal(0).error().code(), Errc::invalid_argument);
    EXPECT_EQ(sealer.seal(kMaxPayload + 1).error().code(), Errc::invalid_argument);
    const Bytes first = seal_one(sealer, Bytes(10, 1));
    const Bytes second = seal_one(sealer, Bytes(10, 1));
    EXPECT_EQ(load_le<std::uint64_t>(first.data() + 8), 0U);
    EXPECT_EQ(load_le<std::uint64_t>(second.data() + 8), 1U);
    EXPECT_FALSE(std::equal(first.begin() + 16, first.end(), second.begin() + 16));

    SealerTestAccess::set_sequence(sealer, kMaxRecords - 1);
    EXPECT_TRUE(sealer.seal(1).has_value());
    EXPECT_EQ(sealer.seal(1).error().code(), Errc::wrong_state);
    EXPECT_EQ(sealer.seal_final().error().code(), Errc::wrong_state);

    RecordSealer ended = RecordSealer::create(Cipher::aes_128_gcm, keys, Compression::off).value();
    ASSERT_TRUE(ended.seal_final().has_value());
    EXPECT_EQ(ended.seal(1).error().code(), Errc::wrong_state);
    EXPECT_EQ(ended.seal_final().error().code(), Errc::wrong_state);
}

TEST(Record, KeysDependOnEverything) {
    std::set<Bytes> seen;
    const auto add = [&](ByteView secret, ByteView salt, std::string_view purpose, Cipher cipher,
                         std::uint32_t channel, Direction direction) {
        const ChannelKeys keys =
            derive_channel_keys(secret, salt, purpose, cipher, channel, direction).value();
        EXPECT_EQ(keys.key.size(), crypto::cipher_key_size(cipher));
        seen.insert(Bytes(keys.nonce_salt.begin(), keys.nonce_salt.end()));
    };
    const Bytes secret(32, 1), salt(16, 2);
    add(secret, salt, "a", Cipher::aes_128_gcm, 1, Direction::forward);
    add(secret, salt, "a", Cipher::aes_128_gcm, 1, Direction::backward);
    add(secret, salt, "a", Cipher::aes_128_gcm, 2, Direction::forward);
    add(secret, salt, "a", Cipher::aes_128_ccm, 1, Direction::forward);
    add(secret, salt, "b", Cipher::aes_128_gcm, 1, Direction::forward);
    add(secret, Bytes(16, 3), "a", Cipher::aes_128_gcm, 1, Direction::forward);
    add(Bytes(32, 4), salt, "a", Cipher::aes_128_gcm, 1, Direction::forward);
    add(secret, salt, "a", Cipher::none, 1, Direction::forward);
    EXPECT_EQ(seen.size(), 8U);
}

}  // namespace
}  // namespace kz::stream
