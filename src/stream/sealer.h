// RecordSealer: turns a channel's plain bytes into sealed records. For src/stream, src/image and src/migrate.
#pragma once

#include "stream/record_cipher.h"
#include "stream/zstd_codec.h"

namespace kz::stream {

enum class Compression { off = 1, zstd };

// One channel, one direction, one thread. The plain bytes are placed where they are sealed: no copy is made
// unless a record is compressed, and no memory is allocated after the first record.
//
//   read(fd, sealer.space()) -> n;   write(out, *sealer.seal(n));   ...   write(out, *sealer.seal_final());
class RecordSealer {
  public:
    static Result<RecordSealer> create(crypto::Cipher cipher, const ChannelKeys& keys,
                                       Compression compression);

    // Where the next record's plain bytes go: kMaxPayload bytes.
    MutableBytes space() { return MutableBytes(buffer_).subspan(kRecordHeaderSize, kMaxPayload); }

    // Seals the first `size` bytes of space(), 1 to kMaxPayload. The record is valid until the next call of
    // any member. Errors: Errc::invalid_argument, Errc::wrong_state (after seal_final() or kMaxRecords: a
    // nonce must never be used twice), Errc::internal. After an error nothing more can be sealed.
    Result<ByteView> seal(std::size_t size);

    // The record that ends the channel.
    Result<ByteView> seal_final();

    // Records made so far: the sequence of the next one.
    std::uint64_t records() const { return sequence_; }

  private:
    friend class SealerTestAccess;
    RecordSealer(RecordCipher cipher, Compression compression);
    Result<ByteView> emit(Bytes& buffer, RecordHeader header);
    std::size_t compress(std::size_t size);

    RecordCipher cipher_;
    Compression compression_;
    ZstdCompressor zstd_;
    Bytes buffer_;
    Bytes packed_;  // empty when compression is off
    std::uint64_t sequence_ = 0;
    bool ended_ = false;
};

}  // namespace kz::stream
