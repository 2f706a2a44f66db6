#include "stream/opener.h"

#include <algorithm>

namespace kz::stream {
namespace {

// Room for a whole record behind the rest of another, so that what is moved is small beside what is read.
constexpr std::size_t kBufferSize = 3 * kMaxRecordSize;

}  // namespace

Result<RecordOpener> RecordOpener::create(crypto::Cipher cipher, const ChannelKeys& keys,
                                          crypto::AeadBackend backend) {
    KZ_TRY(RecordDecoder decoder, RecordDecoder::create(cipher, keys, backend));
    return RecordOpener(std::move(decoder));
}

RecordOpener::RecordOpener(RecordDecoder decoder) : decoder_(std::move(decoder)), buffer_(kBufferSize) {}

MutableBytes RecordOpener::space() {
    if (buffer_.size() - end_ < kMaxRecordSize) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    return MutableBytes(buffer_).subspan(end_);
}

void RecordOpener::commit(std::size_t size) {
    end_ += std::min(size, buffer_.size() - end_);
}

std::size_t RecordOpener::missing() const {
    const std::size_t available = end_ - begin_;
    if (available < kRecordHeaderSize) return kRecordHeaderSize - available;
    const auto header = decode_record_header(
        std::span<const Byte, kRecordHeaderSize>(buffer_.data() + begin_, kRecordHeaderSize));
    const std::size_t size = header ? sealed_size(decoder_.cipher(), header->length) : 0;
    return size > available ? size - available : 1;
}

Result<std::optional<RecordOpener::Plain>> RecordOpener::next() {
    if (failure_) return std::unexpected(*failure_);
    auto opened = open_next();
    if (!opened) failure_ = opened.error();
    return opened;
}

Result<std::optional<RecordOpener::Plain>> RecordOpener::open_next() {
    const std::size_t available = end_ - begin_;
    if (ended_) {
        if (available != 0) return fail(Errc::corrupt, "data after the end of the channel");
        return std::nullopt;
    }
    if (available < kRecordHeaderSize) return std::nullopt;
    const MutableBytes rest = MutableBytes(buffer_).subspan(begin_, available);
    KZ_TRY(const RecordHeader header, decode_record_header(rest.first<kRecordHeaderSize>()));
    const std::size_t size = sealed_size(decoder_.cipher(), header.length);
    if (available < size) return std::nullopt;
    KZ_TRY(const RecordDecoder::Opened opened, decoder_.open(sequence_, rest.first(size)));
    ++sequence_;
    begin_ += size;
    if (!opened.final) return Plain{opened.plain, size};
    ended_ = true;
    return open_next();
}

Result<void> RecordOpener::end_of_input() const {
    if (failure_) return std::unexpected(*failure_);
    if (!ended_) return fail(Errc::corrupt, "the channel was cut off before its end");
    return {};
}

}  // namespace kz::stream
