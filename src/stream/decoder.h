// RecordDecoder: opens single records whose place in the channel is known. For src/stream and src/image.
#pragma once

#include "stream/codec.h"
#include "stream/record_cipher.h"

namespace kz::stream {

// One thread at a time. No memory is allocated after the first compressed record.
class RecordDecoder {
  public:
    struct Opened {
        ByteView plain;  // empty for a final record
        bool final = false;
    };

    static Result<RecordDecoder> create(crypto::Cipher cipher, const ChannelKeys& keys,
                                        crypto::AeadBackend backend = crypto::AeadBackend::automatic);

    // Opens `record`, a whole one, in place; it must be the channel's record number `sequence`. `plain` is
    // valid until the next call and as long as `record`. Every failure is Errc::corrupt and leaves no plain
    // bytes.
    Result<Opened> open(std::uint64_t sequence, MutableBytes record);

    crypto::Cipher cipher() const { return cipher_.cipher(); }

  private:
    explicit RecordDecoder(RecordCipher cipher) : cipher_(std::move(cipher)) {}
    Result<ByteView> decompress(Codec codec, ByteView payload);

    RecordCipher cipher_;
    Decompressor decompressor_;
    Bytes unpacked_;
};

}  // namespace kz::stream
