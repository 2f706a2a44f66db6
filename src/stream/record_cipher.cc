#include "stream/record_cipher.h"

#include <algorithm>
#include <span>

namespace kz::stream {

Result<RecordCipher> RecordCipher::create(crypto::Cipher cipher, const ChannelKeys& keys,
                                          crypto::AeadBackend backend) {
    RecordCipher made(cipher, keys.nonce_salt);
    if (cipher != crypto::Cipher::none) {
        KZ_TRY(made.aead_, crypto::Aead::create(cipher, keys.key.view(), backend));
    }
    return made;
}

Result<void> RecordCipher::seal(const RecordHeader& header, MutableBytes record) {
    return run_lanes(header, record, [this](auto jobs) { return aead_->seal_batch(jobs); });
}

Result<void> RecordCipher::open(const RecordHeader& header, MutableBytes record) {
    return run_lanes(header, record, [this](auto jobs) { return aead_->open_batch(jobs); });
}

template <typename Run>
Result<void> RecordCipher::run_lanes(const RecordHeader& header, MutableBytes record, Run run) {
    if (record.size() != sealed_size(cipher_, header.length))
        return fail(Errc::internal, "a record of {} bytes in {}", header.length, record.size());
    if (header.sequence >= kMaxRecords) return fail(Errc::corrupt, "record number {}", header.sequence);
    if (cipher_ == crypto::Cipher::none) return {};

    const std::size_t lanes = lane_count(cipher_, header.length);
    const std::size_t lane_size = lanes == 1 ? kMaxPayload : kLaneSize;
    const ByteView aad = record.first(kRecordHeaderSize);
    const MutableBytes payload = record.subspan(kRecordHeaderSize, header.length);
    const MutableBytes tags = record.subspan(kRecordHeaderSize + header.length);

    std::array<crypto::AeadJob, kMaxLanes> jobs;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        jobs[lane].nonce = lane_nonce(salt_, header.sequence, lane);
        const std::size_t at = lane * lane_size;
        jobs[lane].aad = aad;
        jobs[lane].data = payload.subspan(at, std::min(lane_size, payload.size() - at));
        jobs[lane].tag = tags.subspan(lane * crypto::kTagSize, crypto::kTagSize);
    }
    return run(std::span<const crypto::AeadJob>(jobs.data(), lanes));
}

}  // namespace kz::stream
