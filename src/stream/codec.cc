#include "stream/codec.h"

#include <lz4.h>

#include <algorithm>

namespace kz::stream {
namespace {

// The fastest of the ordinary levels: a record is compressed while a guest waits.
constexpr int kZstdLevel = 1;
constexpr int kLz4Acceleration = 1;

// Eight pieces from all over a record: of 64 pages a mix of kinds is met, and of a page no fixed part.
constexpr std::size_t kSamples = 8;
constexpr std::size_t kSampleSize = 512;
constexpr std::size_t kSampled = kSamples * kSampleSize;
// Less than a sixteenth saved is not worth the work at both ends.
constexpr std::size_t kWorthwhile = kSampled - kSampled / 16;

// The sum of the squares of how often each byte occurs; for random bytes it is close to this.
constexpr std::size_t kSquaresOfRandom = kSampled + kSampled * (kSampled - 1) / 256;

using Sample = std::array<Byte, kSampled>;

constexpr std::size_t kWords = 64;
constexpr std::size_t kZeroWords = 60;

const char* chars(const Byte* bytes) {
    return reinterpret_cast<const char*>(bytes);
}

char* chars(Byte* bytes) {
    return reinterpret_cast<char*>(bytes);
}

// Whether some bytes are so much more frequent than others that entropy coding pays, which zstd does and lz4
// does not.
bool is_uneven(const Sample& sample) {
    std::array<std::size_t, 256> counts{};
    for (const Byte byte : sample)
        ++counts[byte];
    std::size_t squares = 0;
    for (const std::size_t count : counts)
        squares += count * count;
    return squares > kSquaresOfRandom + kSquaresOfRandom / 2;
}

}  // namespace

std::optional<std::size_t> Compressor::compress(Codec codec, ByteView plain, MutableBytes out) {
    switch (codec) {
        case Codec::lz4:
            return by_lz4(plain, out);
        case Codec::zstd:
            return by_zstd(plain, out);
        case Codec::none:
            break;
    }
    return std::nullopt;
}

std::optional<std::size_t> Compressor::by_lz4(ByteView plain, MutableBytes out) {
    if (lz4_ == nullptr) lz4_ = std::make_unique<Byte[]>(static_cast<std::size_t>(LZ4_sizeofState()));
    const int size = LZ4_compress_fast_extState(lz4_.get(), chars(plain.data()), chars(out.data()),
                                                static_cast<int>(plain.size()), static_cast<int>(out.size()),
                                                kLz4Acceleration);
    if (size <= 0) return std::nullopt;
    return static_cast<std::size_t>(size);
}

std::optional<std::size_t> Compressor::by_zstd(ByteView plain, MutableBytes out) {
    if (zstd_ == nullptr) zstd_.reset(ZSTD_createCCtx());
    if (zstd_ == nullptr) return std::nullopt;
    const std::size_t size =
        ZSTD_compressCCtx(zstd_.get(), out.data(), out.size(), plain.data(), plain.size(), kZstdLevel);
    if (ZSTD_isError(size)) return std::nullopt;
    return size;
}

bool Compressor::looks_compressible(Codec codec, ByteView plain) {
    if (codec == Codec::none) return false;
    if (plain.size() < 2 * kSampled) return true;
    Sample sample;
    const std::size_t step = (plain.size() - kSampleSize) / (kSamples - 1);
    for (std::size_t i = 0; i < kSamples; ++i)
        std::memcpy(sample.data() + i * kSampleSize, plain.data() + i * step, kSampleSize);
    if (codec == Codec::zstd && is_uneven(sample)) return true;
    std::array<Byte, kWorthwhile> packed;
    return by_lz4(sample, packed).has_value();
}

Result<void> Decompressor::decompress(Codec codec, ByteView packed, MutableBytes plain) {
    std::size_t size = 0;
    if (codec == Codec::lz4) {
        const int done = LZ4_decompress_safe(chars(packed.data()), chars(plain.data()),
                                             static_cast<int>(packed.size()), static_cast<int>(plain.size()));
        if (done < 0) return fail(Errc::corrupt, "a record that does not decompress");
        size = static_cast<std::size_t>(done);
    } else {
        KZ_TRY(size, by_zstd(packed, plain));
    }
    if (size != plain.size()) return fail(Errc::corrupt, "a record that decompresses to another length");
    return {};
}

Result<std::size_t> Decompressor::by_zstd(ByteView packed, MutableBytes plain) {
    if (zstd_ == nullptr) zstd_.reset(ZSTD_createDCtx());
    if (zstd_ == nullptr) return fail(Errc::internal, "no memory for decompression");
    if (ZSTD_findFrameCompressedSize(packed.data(), packed.size()) != packed.size())
        return fail(Errc::corrupt, "a record that is not one zstd frame");
    const std::size_t size =
        ZSTD_decompressDCtx(zstd_.get(), plain.data(), plain.size(), packed.data(), packed.size());
    if (ZSTD_isError(size)) return fail(Errc::corrupt, "a record that does not decompress");
    return size;
}

bool mostly_zeros(ByteView plain) {
    if (plain.size() < kWords * sizeof(std::uint64_t)) return false;
    const std::size_t step = (plain.size() - sizeof(std::uint64_t)) / (kWords - 1);
    std::size_t zeros = 0;
    for (std::size_t i = 0; i < kWords; ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, plain.data() + i * step, sizeof word);
        if (word == 0) ++zeros;
    }
    return zeros >= kZeroWords;
}

}  // namespace kz::stream
