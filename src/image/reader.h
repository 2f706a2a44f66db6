// ImageReader: reads a suspend image: what it is, its channels from begin to end, or any place of them. For
// src/monitor and src/cli.
#pragma once

#include <functional>
#include <memory>

#include "image/info.h"
#include "image/medium.h"
#include "stream/channel.h"
#include "stream/pump.h"

namespace kz::image {

// One channel; one thread at a time, any number of channels in parallel. Damage is Errc::corrupt, and nothing
// of a damaged record is delivered.
class ImageChannelReader : public stream::ChannelReader {
  public:
    // Exactly out.size() bytes of the channel's plain stream from `offset` on; beyond its end is
    // Errc::invalid_argument. Independent of next(). The last record is kept: reading onwards in small steps
    // opens each once.
    virtual Result<void> read(std::uint64_t offset, MutableBytes out) = 0;
    // Length of the channel's plain stream.
    virtual std::uint64_t size() const = 0;
};

class ImageReader {
  public:
    // Verifies header, footer and index before anything else. Errors: Errc::permission (sealed with another
    // zone's key), Errc::corrupt (damaged, or not complete), Errc::unsupported (a newer format),
    // Errc::not_found, Errc::io.
    static Result<ImageReader> open(const Path& path, ByteView keysource);
    static Result<ImageReader> open(std::unique_ptr<Medium> medium, ByteView keysource);

    ImageReader(ImageReader&&) noexcept;
    ImageReader& operator=(ImageReader&&) noexcept;
    ~ImageReader();

    const ImageInfo& info() const;
    // As the footer says.
    const ImageTotals& totals() const;

    // A reader of one channel, 0 to channel_count - 1 (else Errc::invalid_argument); as many as wanted, from
    // any thread. Must not outlive the image reader.
    Result<std::unique_ptr<ImageChannelReader>> channel(std::uint32_t number) const;

    // The whole channel to a descriptor; several threads may replay several channels.
    Result<stream::PumpTotals> replay(std::uint32_t number, int plain_fd, const stream::PumpRules& rules,
                                      stream::PumpCounters& counters) const;

    // `length` bytes (at most 64 MiB) of a channel's plain stream.
    Result<Bytes> read(std::uint32_t number, std::uint64_t offset, std::size_t length) const;

    // Opens every record; `progress`, unless empty, is told after each. Errc::cancelled when cancel_fd,
    // unless -1, becomes readable.
    Result<ImageTotals> verify_all(int cancel_fd = -1,
                                   const std::function<void(const ImageTotals&)>& progress = {}) const;

  private:
    struct State;
    class Channel;
    explicit ImageReader(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// The header's fields without the key, so NOT AUTHENTICATED: for messages only ("an image of zone ant1").
Result<ImageInfo> read_info(const Path& path);
Result<ImageInfo> read_info(Medium& medium);

}  // namespace kz::image
