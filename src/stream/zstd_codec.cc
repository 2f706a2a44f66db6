#include "stream/zstd_codec.h"

namespace kz::stream {
namespace {

// The fastest of the ordinary levels: a record is compressed while a guest waits.
constexpr int kLevel = 1;

}  // namespace

std::optional<std::size_t> ZstdCompressor::compress(ByteView plain, MutableBytes out) {
    if (context_ == nullptr) context_.reset(ZSTD_createCCtx());
    if (context_ == nullptr) return std::nullopt;
    const std::size_t size =
        ZSTD_compressCCtx(context_.get(), out.data(), out.size(), plain.data(), plain.size(), kLevel);
    if (ZSTD_isError(size)) return std::nullopt;
    return size;
}

Result<void> ZstdDecompressor::decompress(ByteView packed, MutableBytes plain) {
    if (context_ == nullptr) context_.reset(ZSTD_createDCtx());
    if (context_ == nullptr) return fail(Errc::internal, "no memory for decompression");
    if (ZSTD_findFrameCompressedSize(packed.data(), packed.size()) != packed.size())
        return fail(Errc::corrupt, "a record that is not one zstd frame");
    const std::size_t size =
        ZSTD_decompressDCtx(context_.get(), plain.data(), plain.size(), packed.data(), packed.size());
    if (ZSTD_isError(size)) return fail(Errc::corrupt, "a record that does not decompress");
    if (size != plain.size()) return fail(Errc::corrupt, "a record that decompresses to another length");
    return {};
}

}  // namespace kz::stream
