#include "image/reader.h"

#include <algorithm>

#include "image/format.h"
#include "image/index.h"
#include "image/keys.h"
#include "os/deadline.h"
#include "os/io.h"
#include "stream/decoder.h"

namespace kz::image {
namespace {

constexpr std::size_t kMaxRead = 64 * 1024 * 1024;
constexpr std::uint64_t kMaxSealedIndex = std::uint64_t{1} << 30;

Result<Block> read_block(Medium& medium, std::uint64_t offset) {
    Block block;
    KZ_CHECK(medium.read_at(offset, block));
    return block;
}

Result<Block> read_header_block(Medium& medium) {
    KZ_TRY(const std::uint64_t size, medium.size());
    if (size < kBlock) return fail(Errc::corrupt, "not a suspend image, or one that was cut off");
    return read_block(medium, 0);
}

}  // namespace

struct ImageReader::State {
    std::unique_ptr<Medium> medium;
    Header header;
    Secret keysource;
    Index index;
    ImageTotals totals;
};

namespace {

Result<Footer> read_footer(Medium& medium, std::uint64_t size, const Secret& mac_key, const ImageInfo& info) {
    if (size < 2 * kBlock) return fail(Errc::corrupt, "the image is not complete: its end is missing");
    KZ_TRY(const Block block, read_block(medium, size - kBlock));
    KZ_TRY(Footer footer, decode_footer(block, mac_key));
    const std::uint64_t room = size - kBlock;
    if (footer.image_id != info.image_id || footer.index_offset < kBlock || footer.index_offset > room ||
        footer.index_length > std::min(room - footer.index_offset, kMaxSealedIndex))
        return fail(Errc::corrupt, "the image's footer is damaged");
    return footer;
}

Result<Index> read_index(Medium& medium, const Header& header, ByteView keysource, const Footer& footer) {
    Bytes sealed(footer.index_length);
    KZ_CHECK(medium.read_at(footer.index_offset, sealed));
    // No image has more entries than records of the smallest size fit into it.
    const std::uint64_t cap = sizeof(std::uint32_t) + std::uint64_t{header.info.channel_count} * 16 +
                              footer.index_offset / stream::sealed_size(header.info.cipher, 0) * 24;
    KZ_TRY(const Bytes index, open_index(header, keysource, sealed, cap));
    return decode_index(index, {.cipher = header.info.cipher,
                                .channel_count = header.info.channel_count,
                                .records_end = footer.index_offset});
}

}  // namespace

class ImageReader::Channel final : public ImageChannelReader {
  public:
    Channel(Medium& medium, const std::vector<IndexEntry>& entries, stream::RecordDecoder decoder)
        : medium_(medium),
          entries_(entries),
          decoder_(std::move(decoder)),
          buffer_(std::ranges::max(entries, {}, &IndexEntry::sealed_length).sealed_length) {}

    std::uint64_t size() const override { return entries_.back().plain_offset; }

    Result<Chunk> next() override {
        KZ_TRY(const ByteView plain, load(next_));
        const std::size_t sealed = entries_[next_].sealed_length;
        // The final record stays the next one: the end is the end however often it is asked for.
        if (next_ + 1 < entries_.size()) ++next_;
        return Chunk{plain, sealed};
    }

    Result<void> read(std::uint64_t offset, MutableBytes out) override {
        if (offset > size() || out.size() > size() - offset)
            return fail(Errc::invalid_argument, "reading {} bytes at {} of a channel of {}", out.size(),
                        offset, size());
        while (!out.empty()) {
            const auto after = std::ranges::upper_bound(entries_, offset, {}, &IndexEntry::plain_offset);
            const auto number = static_cast<std::size_t>(after - entries_.begin()) - 1;
            KZ_TRY(const ByteView plain, load(number));
            const ByteView from = plain.subspan(offset - entries_[number].plain_offset);
            const std::size_t part = std::min(from.size(), out.size());
            std::ranges::copy(from.first(part), out.begin());
            offset += part;
            out = out.subspan(part);
        }
        return {};
    }

  private:
    static constexpr std::size_t kNothing = SIZE_MAX;

    // The plain bytes of a record; empty for the final one.
    Result<ByteView> load(std::size_t number) {
        if (loaded_ == number) return plain_;
        loaded_ = kNothing;
        const IndexEntry& entry = entries_[number];
        const MutableBytes record = MutableBytes(buffer_).first(entry.sealed_length);
        KZ_CHECK(medium_.read_at(entry.file_offset, record));
        KZ_TRY(const stream::RecordDecoder::Opened opened, decoder_.open(number, record));
        const bool is_last = number + 1 == entries_.size();
        if (opened.final != is_last || opened.plain.size() != entry.plain_length)
            return fail(Errc::corrupt, "record {} is not the one of the index", number);
        plain_ = opened.plain;
        loaded_ = number;
        return plain_;
    }

    Medium& medium_;
    const std::vector<IndexEntry>& entries_;
    stream::RecordDecoder decoder_;
    Bytes buffer_;
    ByteView plain_;  // of record loaded_
    std::size_t loaded_ = kNothing;
    std::size_t next_ = 0;
};

ImageReader::ImageReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
ImageReader::ImageReader(ImageReader&&) noexcept = default;
ImageReader& ImageReader::operator=(ImageReader&&) noexcept = default;
ImageReader::~ImageReader() = default;

const ImageInfo& ImageReader::info() const {
    return state_->header.info;
}
const ImageTotals& ImageReader::totals() const {
    return state_->totals;
}

Result<ImageReader> ImageReader::open(const Path& path, ByteView keysource) {
    KZ_TRY(std::unique_ptr<Medium> medium, open_file_medium(path));
    return open(std::move(medium), keysource);
}

Result<ImageReader> ImageReader::open(std::unique_ptr<Medium> medium, ByteView keysource) {
    auto state = std::make_unique<State>();
    KZ_TRY(const Block block, read_header_block(*medium));
    KZ_TRY(state->header, decode_header(block));
    KZ_TRY(const Secret mac_key, derive_mac_key(keysource, state->header.salt));
    KZ_CHECK(verify_header(block, mac_key));
    KZ_TRY(const std::uint64_t size, medium->size());
    KZ_TRY(const Footer footer, read_footer(*medium, size, mac_key, state->header.info));
    KZ_TRY(state->index, read_index(*medium, state->header, keysource, footer));
    state->totals = {footer.plain_bytes, footer.sealed_bytes, footer.records, size};
    state->keysource = Secret(keysource);
    state->medium = std::move(medium);
    return ImageReader(std::move(state));
}

Result<std::unique_ptr<ImageChannelReader>> ImageReader::channel(std::uint32_t number) const {
    if (number >= state_->index.size())
        return fail(Errc::invalid_argument, "channel {} of an image of {}", number, state_->index.size());
    KZ_TRY(const stream::ChannelKeys keys, channel_keys(state_->header, state_->keysource.view(), number));
    KZ_TRY(stream::RecordDecoder decoder, stream::RecordDecoder::create(info().cipher, keys));
    return std::make_unique<Channel>(*state_->medium, state_->index[number], std::move(decoder));
}

Result<stream::PumpTotals> ImageReader::replay(std::uint32_t number, int plain_fd,
                                               const stream::PumpRules& rules,
                                               stream::PumpCounters& counters) const {
    KZ_TRY(const std::unique_ptr<ImageChannelReader> from, channel(number));
    return stream::pump_out(*from, plain_fd, rules, counters);
}

Result<Bytes> ImageReader::read(std::uint32_t number, std::uint64_t offset, std::size_t length) const {
    if (length > kMaxRead) return fail(Errc::invalid_argument, "reading {} bytes at once", length);
    KZ_TRY(const std::unique_ptr<ImageChannelReader> from, channel(number));
    Bytes out(length);
    KZ_CHECK(from->read(offset, out));
    return out;
}

Result<ImageTotals> ImageReader::verify_all(int cancel_fd,
                                            const std::function<void(const ImageTotals&)>& progress) const {
    ImageTotals seen{.file_bytes = totals().file_bytes};
    for (std::uint32_t number = 0; number < info().channel_count; ++number) {
        KZ_TRY(const std::unique_ptr<ImageChannelReader> from, channel(number));
        while (true) {
            if (cancel_fd >= 0 && wait_readable(cancel_fd, Deadline::after(std::chrono::milliseconds(0))))
                return fail(Errc::cancelled, "cancelled");
            KZ_TRY_CONTEXT(const auto chunk, from->next(), fmt::format("channel {}", number));
            seen.sealed_bytes += chunk.sealed;
            if (chunk.plain.empty()) break;
            seen.plain_bytes += chunk.plain.size();
            ++seen.records;
            if (progress) progress(seen);
        }
    }
    if (seen.plain_bytes != totals().plain_bytes || seen.sealed_bytes != totals().sealed_bytes ||
        seen.records != totals().records)
        return fail(Errc::corrupt, "the image does not hold what its footer says");
    return seen;
}

Result<ImageInfo> read_info(const Path& path) {
    KZ_TRY(const std::unique_ptr<Medium> medium, open_file_medium(path));
    return read_info(*medium);
}

Result<ImageInfo> read_info(Medium& medium) {
    KZ_TRY(const Block block, read_header_block(medium));
    KZ_TRY(Header header, decode_header(block));
    return std::move(header.info);
}

}  // namespace kz::image
