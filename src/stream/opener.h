// RecordOpener: turns a stream of sealed records, however it is cut into reads, back into plain bytes. For
// src/stream and src/migrate.
#pragma once

#include <optional>

#include "stream/decoder.h"

namespace kz::stream {

// One channel, one direction, one thread. Bytes are read into where they are opened: no copy is made but of a
// record's part that is left at the end of the buffer. No memory is allocated after the first compressed
// record.
//
//   read(fd, opener.space()) -> n;  opener.commit(n);  while (plain = *opener.next()) ...
class RecordOpener {
  public:
    struct Plain {
        ByteView bytes;          // valid until the next call of any member
        std::size_t sealed = 0;  // size of the record it came in
    };

    static Result<RecordOpener> create(crypto::Cipher cipher, const ChannelKeys& keys,
                                       crypto::AeadBackend backend = crypto::AeadBackend::automatic);

    // Where received bytes go; never empty when the last next() asked for more.
    MutableBytes space();
    // `size` bytes were put at the front of space().
    void commit(std::size_t size);

    // How many more bytes next() needs at least, when it has asked for more: 1 or more.
    std::size_t missing() const;

    // The plain bytes of the next record; nothing when more bytes are needed or, see ended(), none follow.
    // The first error (Errc::corrupt) is final: every later call repeats it and delivers nothing.
    Result<std::optional<Plain>> next();

    // Whether the final record has come.
    bool ended() const { return ended_; }
    // Size of the final record.
    std::size_t final_size() const { return sealed_size(decoder_.cipher(), 0); }
    // To be called when no more bytes will come: Errc::corrupt unless the channel has ended.
    Result<void> end_of_input() const;

  private:
    explicit RecordOpener(RecordDecoder decoder);
    Result<std::optional<Plain>> open_next();

    RecordDecoder decoder_;
    Bytes buffer_;
    std::size_t begin_ = 0;  // first byte not yet opened
    std::size_t end_ = 0;    // one past the last byte received
    std::uint64_t sequence_ = 0;
    bool ended_ = false;
    std::optional<Error> failure_;
};

}  // namespace kz::stream
