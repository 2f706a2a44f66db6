// RecordSealer: turns a channel's plain bytes into sealed records. For src/stream, src/image and src/migrate.
#pragma once

#include "stream/governor.h"
#include "stream/record_cipher.h"

namespace kz::stream {

// How records are compressed. One that would not become smaller is left as it is, whatever the choice, and
// one that does not look as if it would is not even tried.
enum class Compression {
    off = 1,
    zstd,
    lz4,
    adaptive,  // by what limits the channel (stream/governor.h); records of zeros always
};

// One channel, one direction, one thread. The plain bytes are placed where they are sealed: no copy is made
// unless a record is compressed, and no memory is allocated after the first record of each codec.
//
//   read(fd, sealer.space()) -> n;   write(out, *sealer.seal(n));   ...   write(out, *sealer.seal_final());
class RecordSealer {
  public:
    static Result<RecordSealer> create(crypto::Cipher cipher, const ChannelKeys& keys,
                                       Compression compression,
                                       crypto::AeadBackend backend = crypto::AeadBackend::automatic);

    // Where the next record's plain bytes go: kMaxPayload bytes.
    MutableBytes space() { return MutableBytes(buffer_).subspan(kRecordHeaderSize, kMaxPayload); }

    // Seals the first `size` bytes of space(), 1 to kMaxPayload. The record is valid until the next call of
    // any member. Errors: Errc::invalid_argument, Errc::wrong_state (after seal_final() or kMaxRecords: a
    // nonce must never be used twice), Errc::internal. After an error nothing more can be sealed.
    Result<ByteView> seal(std::size_t size);

    // What the last record cost; `adaptive` learns from it.
    void report(const SendTimes& times) { governor_.record(times); }

    // The record that ends the channel.
    Result<ByteView> seal_final();

    // Records made so far: the sequence of the next one.
    std::uint64_t records() const { return sequence_; }

  private:
    friend class SealerTestAccess;
    RecordSealer(RecordCipher cipher, Compression compression);
    Result<ByteView> emit(Bytes& buffer, RecordHeader header);
    Codec choose_codec(ByteView plain);
    std::size_t compress(Codec codec, std::size_t size);

    RecordCipher cipher_;
    Compression compression_;
    CompressionGovernor governor_;
    Compressor compressor_;
    Bytes buffer_;
    Bytes packed_;  // empty when compression is off
    std::uint64_t sequence_ = 0;
    bool ended_ = false;
};

}  // namespace kz::stream
