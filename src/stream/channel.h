// ChannelWriter and ChannelReader: where a pump puts a channel's plain bytes and where it gets them from.
// Implemented for descriptors (stream/fd_channel.h) and suspend images (src/image). For src/stream, src/image
// and src/migrate.
#pragma once

#include "base/bytes.h"

namespace kz::stream {

// One thread at a time. After an error the channel is of no further use.
class ChannelWriter {
  public:
    virtual ~ChannelWriter() = default;
    // Where the next plain bytes are to be put; never empty.
    virtual MutableBytes space() = 0;
    // Takes the first `size` bytes of space() (1 to its size). Returns how many bytes they became.
    virtual Result<std::size_t> commit(std::size_t size) = 0;
    // Ends the channel. Not called when its source failed: the reader then knows that it was cut off.
    virtual Result<std::size_t> finish() = 0;
};

// One thread at a time. After an error nothing more is delivered.
class ChannelReader {
  public:
    struct Chunk {
        ByteView plain;          // empty at the proper end of the channel; valid until the next call
        std::size_t sealed = 0;  // bytes that it was
    };
    virtual ~ChannelReader() = default;
    virtual Result<Chunk> next() = 0;
};

}  // namespace kz::stream
