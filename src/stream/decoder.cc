#include "stream/decoder.h"

namespace kz::stream {
namespace {

constexpr std::size_t kLengthPrefix = sizeof(std::uint32_t);

}  // namespace

Result<RecordDecoder> RecordDecoder::create(crypto::Cipher cipher, const ChannelKeys& keys,
                                            crypto::AeadBackend backend) {
    KZ_TRY(RecordCipher record_cipher, RecordCipher::create(cipher, keys, backend));
    return RecordDecoder(std::move(record_cipher));
}

Result<RecordDecoder::Opened> RecordDecoder::open(std::uint64_t sequence, MutableBytes record) {
    if (record.size() < kRecordHeaderSize) return fail(Errc::corrupt, "a record of {} bytes", record.size());
    KZ_TRY(const RecordHeader header, decode_record_header(record.first<kRecordHeaderSize>()));
    if (header.sequence != sequence)
        return fail(Errc::corrupt, "record {} in the place of record {}", header.sequence, sequence);
    if (record.size() != sealed_size(cipher_.cipher(), header.length))
        return fail(Errc::corrupt, "record {} has a wrong length", sequence);
    KZ_CHECK_CONTEXT(cipher_.open(header, record), fmt::format("record {}", sequence));
    Opened opened{record.subspan(kRecordHeaderSize, header.length), header.type == RecordType::final};
    if (header.compressed()) {
        const Codec codec = header.flags == kFlagLz4 ? Codec::lz4 : Codec::zstd;
        KZ_TRY_CONTEXT(opened.plain, decompress(codec, opened.plain), fmt::format("record {}", sequence));
    }
    return opened;
}

Result<ByteView> RecordDecoder::decompress(Codec codec, ByteView payload) {
    if (payload.size() <= kLengthPrefix) return fail(Errc::corrupt, "too short to be compressed");
    const auto size = load_le<std::uint32_t>(payload.data());
    if (size > kMaxPayload || size <= payload.size())
        return fail(Errc::corrupt, "{} bytes compressed to {}", size, payload.size());
    unpacked_.resize(kMaxPayload);
    const MutableBytes plain = MutableBytes(unpacked_).first(size);
    KZ_CHECK(decompressor_.decompress(codec, payload.subspan(kLengthPrefix), plain));
    return plain;
}

}  // namespace kz::stream
