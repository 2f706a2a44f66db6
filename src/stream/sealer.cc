#include "stream/sealer.h"

namespace kz::stream {
namespace {

constexpr std::size_t kLengthPrefix = sizeof(std::uint32_t);

}  // namespace

Result<RecordSealer> RecordSealer::create(crypto::Cipher cipher, const ChannelKeys& keys,
                                          Compression compression, crypto::AeadBackend backend) {
    KZ_TRY(RecordCipher record_cipher, RecordCipher::create(cipher, keys, backend));
    return RecordSealer(std::move(record_cipher), compression);
}

RecordSealer::RecordSealer(RecordCipher cipher, Compression compression)
    : cipher_(std::move(cipher)),
      compression_(compression),
      buffer_(kMaxRecordSize),
      packed_(compression == Compression::off ? 0 : kMaxRecordSize) {}

Result<ByteView> RecordSealer::seal(std::size_t size) {
    if (size == 0 || size > kMaxPayload) return fail(Errc::invalid_argument, "sealing {} bytes", size);
    const Codec codec = choose_codec(space().first(size));
    const std::size_t packed = codec == Codec::none ? 0 : compress(codec, size);
    if (packed != 0) {
        const Byte flags = codec == Codec::lz4 ? kFlagLz4 : kFlagZstd;
        return emit(packed_, {.length = static_cast<std::uint32_t>(packed), .flags = flags});
    }
    return emit(buffer_, {.length = static_cast<std::uint32_t>(size)});
}

Result<ByteView> RecordSealer::seal_final() {
    return emit(buffer_, {.type = RecordType::final});
}

Codec RecordSealer::choose_codec(ByteView plain) {
    Codec codec = Codec::none;
    switch (compression_) {
        case Compression::off:
            return Codec::none;
        case Compression::zstd:
            codec = Codec::zstd;
            break;
        case Compression::lz4:
            codec = Codec::lz4;
            break;
        case Compression::adaptive:
            codec = governor_.codec();
            // To make nothing of zeros is less work than to seal and to send them.
            if (codec == Codec::none && mostly_zeros(plain)) return Codec::lz4;
            break;
    }
    return compressor_.looks_compressible(codec, plain) ? codec : Codec::none;
}

// The size of the compressed payload in packed_, prefix included; 0 when the plain bytes are not longer than
// it.
std::size_t RecordSealer::compress(Codec codec, std::size_t size) {
    if (size <= kLengthPrefix + 1) return 0;
    const MutableBytes payload = MutableBytes(packed_).subspan(kRecordHeaderSize, size - 1);
    store_le<std::uint32_t>(payload.data(), static_cast<std::uint32_t>(size));
    const auto frame = compressor_.compress(codec, space().first(size), payload.subspan(kLengthPrefix));
    return frame ? kLengthPrefix + *frame : 0;
}

Result<ByteView> RecordSealer::emit(Bytes& buffer, RecordHeader header) {
    if (ended_) return fail(Errc::wrong_state, "the channel has ended");
    if (sequence_ >= kMaxRecords) return fail(Errc::wrong_state, "the channel's key is used up");
    header.sequence = sequence_;
    const MutableBytes record = MutableBytes(buffer).first(sealed_size(cipher_.cipher(), header.length));
    encode_record_header(header, record.first<kRecordHeaderSize>());
    // Counted before sealing: whatever happens below, this number is never used again.
    ++sequence_;
    ended_ = true;
    KZ_CHECK(cipher_.seal(header, record));
    ended_ = header.type == RecordType::final;
    return record;
}

}  // namespace kz::stream
