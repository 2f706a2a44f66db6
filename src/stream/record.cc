#include "stream/record.h"

#include <algorithm>

namespace kz::stream {

void encode_record_header(const RecordHeader& header, std::span<Byte, kRecordHeaderSize> out) {
    store_le<std::uint32_t>(out.data(), header.length);
    out[4] = static_cast<Byte>(header.type);
    out[5] = header.flags;
    store_le<std::uint16_t>(out.data() + 6, 0);
    store_le<std::uint64_t>(out.data() + 8, header.sequence);
}

Result<RecordHeader> decode_record_header(std::span<const Byte, kRecordHeaderSize> in) {
    RecordHeader header;
    header.length = load_le<std::uint32_t>(in.data());
    header.flags = in[5];
    header.sequence = load_le<std::uint64_t>(in.data() + 8);
    if (load_le<std::uint16_t>(in.data() + 6) != 0) return fail(Errc::corrupt, "a record with reserved bits");
    if (header.length > kMaxPayload) return fail(Errc::corrupt, "a record of {} bytes", header.length);
    if (in[4] == static_cast<Byte>(RecordType::data)) {
        header.type = RecordType::data;
        if (header.length == 0) return fail(Errc::corrupt, "a data record without data");
        if (header.flags != 0 && header.flags != kFlagZstd && header.flags != kFlagLz4)
            return fail(Errc::corrupt, "a record with flags {}", header.flags);
    } else if (in[4] == static_cast<Byte>(RecordType::final)) {
        header.type = RecordType::final;
        if (header.length != 0 || header.flags != 0) return fail(Errc::corrupt, "a final record with data");
    } else {
        return fail(Errc::corrupt, "a record of type {}", in[4]);
    }
    return header;
}

std::size_t lane_count(crypto::Cipher cipher, std::size_t length) {
    if (cipher == crypto::Cipher::none) return 0;
    if (cipher != crypto::Cipher::aes_128_ccm) return 1;
    return std::max<std::size_t>(1, (length + kLaneSize - 1) / kLaneSize);
}

crypto::Nonce lane_nonce(const crypto::Nonce& salt, std::uint64_t sequence, std::size_t lane) {
    std::array<Byte, 8> number;
    store_le<std::uint64_t>(number.data(), sequence << 8 | lane);
    crypto::Nonce nonce = salt;
    for (std::size_t i = 0; i < number.size(); ++i)
        nonce[nonce.size() - number.size() + i] ^= number[i];
    return nonce;
}

std::size_t sealed_size(crypto::Cipher cipher, std::size_t length) {
    return kRecordHeaderSize + length + lane_count(cipher, length) * crypto::kTagSize;
}

}  // namespace kz::stream
