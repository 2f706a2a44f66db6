// Zstd contexts that are kept between records, so that none is allocated for each. Private to src/stream.
#pragma once

#include <zstd.h>

#include <memory>
#include <optional>

#include "base/bytes.h"

namespace kz::stream {

class ZstdCompressor {
  public:
    // Writes one frame to the front of `out`; nothing when it does not fit, which means that compressing does
    // not pay.
    std::optional<std::size_t> compress(ByteView plain, MutableBytes out);

  private:
    struct Free {
        void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
    };
    std::unique_ptr<ZSTD_CCtx, Free> context_;
};

class ZstdDecompressor {
  public:
    // Errc::corrupt unless `packed` is exactly one frame of `plain.size()` bytes.
    Result<void> decompress(ByteView packed, MutableBytes plain);

  private:
    struct Free {
        void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
    };
    std::unique_ptr<ZSTD_DCtx, Free> context_;
};

}  // namespace kz::stream
