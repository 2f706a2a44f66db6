#include "image/page_reader.h"

#include <algorithm>
#include <limits>

namespace kz::image {
namespace {

// What is not memory, and the table: 24 bytes for every page at the worst.
constexpr std::uint64_t kMaxOther = 128 << 20;
// Firmware, tables and video memory lie beside what is configured.
constexpr std::uint64_t kMaxBeside = std::uint64_t{1} << 30;

}  // namespace

Result<PageReader> PageReader::open(const ImageReader& image) {
    const ImageInfo& info = image.info();
    if (info.layout != Layout::pages) return fail(Errc::invalid_argument, "an image without a page table");
    std::vector<std::uint64_t> channel_pages(info.channel_count, 0);
    for (std::uint32_t number = 1; number < info.channel_count; ++number) {
        KZ_TRY(const std::unique_ptr<ImageChannelReader> channel, image.channel(number));
        if (channel->size() % kPageSize != 0 ||
            channel->size() / kPageSize > std::numeric_limits<std::uint32_t>::max())
            return fail(Errc::corrupt, "channel {} does not hold pages", number);
        channel_pages[number] = channel->size() / kPageSize;
    }
    KZ_TRY(const std::unique_ptr<ImageChannelReader> other, image.channel(0));
    if (info.memory_bytes > std::numeric_limits<std::uint64_t>::max() - kMaxBeside)
        return fail(Errc::corrupt, "the image's header is damaged (memory)");
    const std::uint64_t memory = info.memory_bytes + kMaxBeside;
    if (other->size() > kMaxOther + memory / kPageSize * 24)
        return fail(Errc::corrupt, "the image's page table is too long");
    Bytes bytes(other->size());
    KZ_CHECK(other->read(0, bytes));
    KZ_TRY(PageIndex index, decode_page_index(bytes, memory, channel_pages));
    PageReader reader(image, std::move(index), std::move(channel_pages));
    reader.fill_groups();
    return reader;
}

PageReader::PageReader(const ImageReader& image, PageIndex index, std::vector<std::uint64_t> channel_pages)
    : image_(&image), index_(std::move(index)), channel_pages_(std::move(channel_pages)) {}

void PageReader::fill_groups() {
    for (const std::uint64_t pages : channel_pages_) {
        const auto channel = static_cast<std::uint32_t>(owners_.size());
        owners_.emplace_back(pages);
        first_group_.push_back(groups_.size());
        for (std::uint64_t first = 0; first < pages; first += kGroupPages) {
            groups_.push_back(
                {channel, static_cast<std::uint32_t>(first),
                 static_cast<std::uint32_t>(std::min<std::uint64_t>(kGroupPages, pages - first))});
        }
    }
    for (std::uint32_t block = 0; block < table().blocks().size(); ++block) {
        const std::uint64_t pages = table().blocks()[block].pages();
        for (std::uint64_t page = 0; page < pages; ++page) {
            const PagePlace place = table().place(block, page);
            if (place.channel != 0)
                owners_[place.channel][place.number] = {block, static_cast<std::uint32_t>(page)};
        }
    }
}

std::span<const PageId> PageReader::pages_of(std::size_t group) const {
    const Group& at = groups_[group];
    return std::span(owners_[at.channel]).subspan(at.first, at.count);
}

std::vector<std::size_t> PageReader::in_order_of_memory() const {
    std::vector<std::size_t> order;
    std::vector<bool> seen(groups());
    for (std::uint32_t block = 0; block < table().blocks().size(); ++block) {
        const std::uint64_t pages = table().blocks()[block].pages();
        for (std::uint64_t page = 0; page < pages; ++page) {
            const PagePlace place = table().place(block, page);
            if (place.channel == 0 || seen[group_of(place)]) continue;
            seen[group_of(place)] = true;
            order.push_back(group_of(place));
        }
    }
    return order;
}

Result<Bytes> PageReader::Source::read(std::size_t group) {
    const Group& at = reader_.groups_[group];
    if (channels_.size() <= at.channel) channels_.resize(reader_.channel_pages_.size());
    std::unique_ptr<ImageChannelReader>& channel = channels_[at.channel];
    if (!channel) {
        KZ_TRY(channel, reader_.image_->channel(at.channel));
    }
    Bytes bytes(std::size_t{at.count} * kPageSize);
    KZ_CHECK(channel->read(std::uint64_t{at.first} * kPageSize, bytes));
    return bytes;
}

}  // namespace kz::image
