// Codecs of compressed records, with contexts that are kept between records, so that none is allocated for
// each. Private to src/stream.
#pragma once

#include <zstd.h>

#include <memory>
#include <optional>

#include "base/bytes.h"

namespace kz::stream {

// In the order of effort.
enum class Codec { none = 1, lz4, zstd };

class Compressor {
  public:
    // Writes to the front of `out`; nothing when it does not fit, which means that compressing does not pay.
    std::optional<std::size_t> compress(Codec codec, ByteView plain, MutableBytes out);

    // Whether it is worth trying: looks at a few small samples, which costs a small part of what compressing
    // would. Data that is too small to be sampled is.
    bool looks_compressible(Codec codec, ByteView plain);

  private:
    struct Free {
        void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
    };
    std::optional<std::size_t> by_lz4(ByteView plain, MutableBytes out);
    std::optional<std::size_t> by_zstd(ByteView plain, MutableBytes out);

    std::unique_ptr<ZSTD_CCtx, Free> zstd_;
    std::unique_ptr<Byte[]> lz4_;
};

class Decompressor {
  public:
    // Errc::corrupt unless `packed` is exactly what the codec, which is not `none`, makes of `plain.size()`
    // bytes.
    Result<void> decompress(Codec codec, ByteView packed, MutableBytes plain);

  private:
    struct Free {
        void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
    };
    Result<std::size_t> by_zstd(ByteView packed, MutableBytes plain);

    std::unique_ptr<ZSTD_DCtx, Free> zstd_;
};

// Whether nearly all of it seems to be zeros; looks at a few words only.
bool mostly_zeros(ByteView plain);

}  // namespace kz::stream
