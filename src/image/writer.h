// ImageWriter: writes a suspend image from several channels at once. For src/monitor.
//
//   ImageWriter writer = create(path, info, keysource, cipher);
//   in a thread for each channel:  stream::pump_in(qemu_socket, *writer.channel(n), rules, counters)
//   writer.finish();
#pragma once

#include <memory>

#include "image/info.h"
#include "image/medium.h"
#include "stream/channel.h"
#include "stream/sealer.h"

namespace kz::image {

// One channel of an image that is being written; one thread at a time, any number of channels in parallel. A
// disk that is full is Errc::no_space.
class ImageChannelWriter : public stream::ChannelWriter {
  public:
    // Puts `plain` of any length at the end of the channel, for callers that have the bytes already.
    Result<void> append(ByteView plain);
};

class ImageWriter {
  public:
    // info: everything but image_id and cipher, which are set here. The cipher must not be `none`.
    // Errors: Errc::invalid_argument, Errc::busy, Errc::no_space, Errc::permission, Errc::io.
    static Result<ImageWriter> create(const Path& path, ImageInfo info, ByteView keysource,
                                      crypto::Cipher cipher,
                                      stream::Compression compression = stream::Compression::zstd);
    static Result<ImageWriter> create(std::unique_ptr<Medium> medium, ImageInfo info, ByteView keysource,
                                      crypto::Cipher cipher,
                                      stream::Compression compression = stream::Compression::zstd);

    ImageWriter(ImageWriter&&) noexcept;
    ImageWriter& operator=(ImageWriter&&) noexcept;
    // An image that was not finished disappears.
    ~ImageWriter();

    // Each channel, 0 to channel_count - 1, once (else Errc::invalid_argument or Errc::wrong_state). Any
    // thread. Must not outlive the writer.
    Result<std::unique_ptr<ImageChannelWriter>> channel(std::uint32_t number);

    // When all channels have finished (else Errc::wrong_state): the index, the footer, everything to stable
    // storage, and the image's name. After an error the image is not to be used.
    Result<ImageTotals> finish();

    const ImageInfo& info() const;

  private:
    struct State;
    class Channel;
    explicit ImageWriter(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace kz::image
