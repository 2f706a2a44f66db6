#include "image/writer.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "crypto/random.h"
#include "image/format.h"
#include "image/index.h"
#include "image/keys.h"
#include "os/uuid.h"

namespace kz::image {

struct ImageWriter::State {
    // Where `size` bytes may be written; for any thread.
    Result<std::uint64_t> allocate(std::size_t size) {
        const std::uint64_t offset = next_offset.fetch_add(size);
        const auto fixed = medium->fixed_size();
        if (fixed && (*fixed < kBlock || offset > *fixed - kBlock || size > *fixed - kBlock - offset))
            return fail(Errc::no_space, "the volume is too small for the image");
        return offset;
    }
    Result<std::uint64_t> store(ByteView record) {
        KZ_TRY(const std::uint64_t offset, allocate(record.size()));
        KZ_CHECK(medium->write_at(offset, record));
        return offset;
    }

    std::unique_ptr<Medium> medium;
    Header header;
    Secret keysource;
    Secret mac_key;
    stream::Compression compression = stream::Compression::zstd;
    std::atomic<std::uint64_t> next_offset = kBlock;

    std::mutex mutex;  // for what follows
    Index index;       // of the channels that have finished
    std::vector<bool> taken;
};

class ImageWriter::Channel final : public ImageChannelWriter {
  public:
    Channel(State& state, std::uint32_t number, stream::RecordSealer sealer)
        : state_(state), number_(number), sealer_(std::move(sealer)) {}

    MutableBytes space() override { return sealer_.space(); }

    Result<std::size_t> commit(std::size_t size) override { return store(sealer_.seal(size), size); }

    Result<std::size_t> finish() override {
        KZ_TRY(const std::size_t sealed, store(sealer_.seal_final(), 0));
        const std::lock_guard lock(state_.mutex);
        state_.index[number_] = std::move(entries_);
        return sealed;
    }

  private:
    // A record that was sealed but not stored leaves a hole in the channel: nothing may follow it.
    Result<std::size_t> store(Result<ByteView> record, std::size_t plain) {
        if (failed_) return fail(Errc::wrong_state, "the channel has failed");
        failed_ = true;
        KZ_TRY(const ByteView bytes, std::move(record));
        KZ_TRY(const std::uint64_t offset, state_.store(bytes));
        entries_.push_back({.file_offset = offset,
                            .plain_offset = plain_offset_,
                            .plain_length = static_cast<std::uint32_t>(plain),
                            .sealed_length = static_cast<std::uint32_t>(bytes.size())});
        plain_offset_ += plain;
        failed_ = false;
        return bytes.size();
    }

    State& state_;
    std::uint32_t number_;
    stream::RecordSealer sealer_;
    std::vector<IndexEntry> entries_;
    std::uint64_t plain_offset_ = 0;
    bool failed_ = false;
};

Result<void> ImageChannelWriter::append(ByteView plain) {
    while (!plain.empty()) {
        const MutableBytes out = space();
        const std::size_t part = std::min(out.size(), plain.size());
        std::ranges::copy(plain.first(part), out.begin());
        KZ_CHECK(commit(part));
        plain = plain.subspan(part);
    }
    return {};
}

ImageWriter::ImageWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
ImageWriter::ImageWriter(ImageWriter&&) noexcept = default;
ImageWriter& ImageWriter::operator=(ImageWriter&&) noexcept = default;
ImageWriter::~ImageWriter() = default;

const ImageInfo& ImageWriter::info() const {
    return state_->header.info;
}

Result<ImageWriter> ImageWriter::create(const Path& path, ImageInfo info, ByteView keysource,
                                        crypto::Cipher cipher, stream::Compression compression) {
    KZ_TRY(std::unique_ptr<Medium> medium, create_file_medium(path));
    return create(std::move(medium), std::move(info), keysource, cipher, compression);
}

Result<ImageWriter> ImageWriter::create(std::unique_ptr<Medium> medium, ImageInfo info, ByteView keysource,
                                        crypto::Cipher cipher, stream::Compression compression) {
    if (cipher == crypto::Cipher::none)
        return fail(Errc::invalid_argument, "a suspend image is always encrypted");
    if (info.channel_count == 0 || info.channel_count > kMaxChannels)
        return fail(Errc::invalid_argument, "a suspend image of {} channels", info.channel_count);
    auto state = std::make_unique<State>();
    state->medium = std::move(medium);
    state->keysource = Secret(keysource);
    state->compression = compression;
    state->index.resize(info.channel_count);
    state->taken.resize(info.channel_count);
    state->header.info = std::move(info);
    state->header.info.cipher = cipher;
    KZ_TRY(state->header.info.image_id, random_uuid());
    KZ_CHECK(crypto::fill_random(state->header.salt));
    KZ_TRY(state->mac_key, derive_mac_key(keysource, state->header.salt));
    KZ_TRY(const Block block, encode_header(state->header, state->mac_key));
    KZ_CHECK(state->medium->write_at(0, block));
    return ImageWriter(std::move(state));
}

Result<std::unique_ptr<ImageChannelWriter>> ImageWriter::channel(std::uint32_t number) {
    if (number >= state_->index.size())
        return fail(Errc::invalid_argument, "channel {} of an image of {}", number, state_->index.size());
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->taken[number]) return fail(Errc::wrong_state, "channel {} is in use", number);
        state_->taken[number] = true;
    }
    KZ_TRY(const stream::ChannelKeys keys, channel_keys(state_->header, state_->keysource.view(), number));
    KZ_TRY(stream::RecordSealer sealer,
           stream::RecordSealer::create(info().cipher, keys, state_->compression));
    return std::make_unique<Channel>(*state_, number, std::move(sealer));
}

Result<ImageTotals> ImageWriter::finish() {
    State& state = *state_;
    const std::lock_guard lock(state.mutex);
    Footer footer{.image_id = info().image_id};
    for (const auto& entries : state.index) {
        if (entries.empty()) return fail(Errc::wrong_state, "a channel of the image has not finished");
        footer.records += entries.size() - 1;
        for (const IndexEntry& entry : entries) {
            footer.plain_bytes += entry.plain_length;
            footer.sealed_bytes += entry.sealed_length;
        }
    }
    KZ_TRY(const Bytes index, seal_index(state.header, state.keysource.view(), encode_index(state.index)));
    footer.index_length = index.size();
    KZ_TRY(footer.index_offset, state.store(index));
    // The footer vouches for all that is before it, so it must not reach the disk earlier.
    KZ_CHECK(state.medium->sync());
    const std::uint64_t end = footer.index_offset + footer.index_length;
    const std::uint64_t footer_at = state.medium->fixed_size() ? *state.medium->fixed_size() - kBlock
                                                               : (end + kBlock - 1) / kBlock * kBlock;
    KZ_TRY(const Block block, encode_footer(footer, state.mac_key));
    KZ_CHECK(state.medium->write_at(footer_at, block));
    KZ_CHECK(state.medium->sync());
    KZ_CHECK(state.medium->publish());
    return ImageTotals{footer.plain_bytes, footer.sealed_bytes, footer.records, footer_at + kBlock};
}

}  // namespace kz::image
