#include "stream/codec.h"

#include "crypto/random.h"
#include "stream_fixture.h"

namespace kz::stream {
namespace {

constexpr std::size_t kRecord = 256 * 1024;

// Random letters: no sequence repeats, but only 16 of 256 bytes occur.
Bytes letters(std::size_t size) {
    Bytes bytes = crypto::random_bytes(size).value();
    for (Byte& byte : bytes)
        byte = static_cast<Byte>('a' + byte % 16);
    return bytes;
}

TEST(Codec, EachGivesBackWhatItTook) {
    Compressor compressor;
    Decompressor decompressor;
    for (const Codec codec : {Codec::lz4, Codec::zstd}) {
        for (const std::size_t size : {64UL, 5000UL, kRecord}) {
            const Bytes plain(size, 0x41);
            Bytes packed(size), unpacked(size);
            const auto length = compressor.compress(codec, plain, packed);
            ASSERT_TRUE(length.has_value());
            EXPECT_LT(*length, size);
            ASSERT_TRUE(
                decompressor.decompress(codec, ByteView(packed).first(*length), unpacked).has_value());
            EXPECT_EQ(unpacked, plain);
        }
    }
}

TEST(Codec, WhatDoesNotFitIsNotCompressed) {
    Compressor compressor;
    const Bytes random = crypto::random_bytes(kRecord).value();
    Bytes packed(kRecord - 1);
    EXPECT_FALSE(compressor.compress(Codec::lz4, random, packed).has_value());
    EXPECT_FALSE(compressor.compress(Codec::zstd, random, packed).has_value());
    EXPECT_FALSE(compressor.compress(Codec::none, Bytes(kRecord), packed).has_value());
}

TEST(Codec, DamageAndWrongLengthsAreErrors) {
    Compressor compressor;
    Decompressor decompressor;
    for (const Codec codec : {Codec::lz4, Codec::zstd}) {
        Bytes packed(10'000), plain(20'000);
        packed.resize(compressor.compress(codec, letters(5000), packed).value_or(0));
        ASSERT_FALSE(packed.empty());
        const auto result = [&](ByteView from, std::size_t size) {
            return decompressor.decompress(codec, from, MutableBytes(plain).first(size));
        };
        EXPECT_TRUE(result(packed, 5000).has_value());
        EXPECT_EQ(result(packed, 4999).error().code(), Errc::corrupt);
        EXPECT_EQ(result(packed, 5001).error().code(), Errc::corrupt);
        EXPECT_EQ(result(ByteView(packed).first(packed.size() - 1), 5000).error().code(), Errc::corrupt);
        EXPECT_EQ(result(Bytes(100, 0xff), 5000).error().code(), Errc::corrupt);
        Bytes longer = packed;
        longer.push_back(0);
        EXPECT_EQ(result(longer, 5000).error().code(), Errc::corrupt);
    }
}

TEST(Codec, TheProbeKnowsWhatPays) {
    Compressor compressor;
    const Bytes random = crypto::random_bytes(kRecord).value();
    Bytes half = random;
    for (std::size_t page = 0; page < kRecord; page += 8192)
        std::fill_n(half.begin() + static_cast<std::ptrdiff_t>(page), 4096, Byte{0});
    for (const Codec codec : {Codec::lz4, Codec::zstd}) {
        EXPECT_FALSE(compressor.looks_compressible(codec, random));
        EXPECT_TRUE(compressor.looks_compressible(codec, half));
        EXPECT_TRUE(compressor.looks_compressible(codec, Bytes(kRecord)));
        EXPECT_TRUE(compressor.looks_compressible(codec, ByteView(random).first(1000))) << "cheaper to try";
    }
    EXPECT_FALSE(compressor.looks_compressible(Codec::lz4, letters(kRecord)));
    EXPECT_TRUE(compressor.looks_compressible(Codec::zstd, letters(kRecord)));
    EXPECT_FALSE(compressor.looks_compressible(Codec::none, half));
}

TEST(Codec, ZerosAreSeen) {
    EXPECT_TRUE(mostly_zeros(Bytes(kRecord)));
    EXPECT_FALSE(mostly_zeros(crypto::random_bytes(kRecord).value()));
    EXPECT_FALSE(mostly_zeros(Bytes(100))) << "too small to matter";
    Bytes half(kRecord);
    std::fill_n(half.begin(), kRecord / 2, Byte{1});
    EXPECT_FALSE(mostly_zeros(half));
}

}  // namespace
}  // namespace kz::stream
