// PageReader: memory by page out of a suspend image of layout `pages`, in any order. For src/monitor.
#pragma once

#include <memory>

#include "image/page_table.h"
#include "image/reader.h"

namespace kz::image {

// A page of the machine's memory, or none.
struct PageId {
    static constexpr std::uint32_t kNone = UINT32_MAX;
    std::uint32_t block = kNone;
    std::uint32_t page = 0;
    bool exists() const { return block != kNone; }
};

// Reads the index at once, memory when asked. Const members may be used by several threads.
class PageReader {
  public:
    // The image reader must outlive this one. Errors: Errc::corrupt, Errc::invalid_argument (another layout).
    static Result<PageReader> open(const ImageReader& image);

    const std::vector<Bytes>& parts() const { return index_.parts; }
    const PageTable& table() const { return index_.table; }

    // Groups are numbered from 0 on, channel by channel.
    std::size_t groups() const { return groups_.size(); }
    // Of a page that is somewhere in the image.
    std::size_t group_of(PagePlace place) const {
        return first_group_[place.channel] + place.number / kGroupPages;
    }
    // What group `group` holds, in its order; none where a page is out of date.
    std::span<const PageId> pages_of(std::size_t group) const;
    // All groups that hold something, in the order of memory: each where its first page is.
    std::vector<std::size_t> in_order_of_memory() const;

    // Opens groups; one thread at a time, any number of them.
    class Source {
      public:
        // The bytes of all pages of a group, also of those that are out of date. Errors: Errc::corrupt, those
        // of the storage; may be tried again.
        Result<Bytes> read(std::size_t group);

      private:
        friend class PageReader;
        explicit Source(const PageReader& reader) : reader_(reader) {}
        const PageReader& reader_;
        std::vector<std::unique_ptr<ImageChannelReader>> channels_;  // by number; made when needed
    };
    Source source() const { return Source(*this); }

  private:
    struct Group {
        std::uint32_t channel = 0;
        std::uint32_t first = 0;  // page in the channel
        std::uint32_t count = 0;
    };
    PageReader(const ImageReader& image, PageIndex index, std::vector<std::uint64_t> channel_pages);
    void fill_groups();

    const ImageReader* image_;
    PageIndex index_;
    std::vector<std::uint64_t> channel_pages_;
    std::vector<Group> groups_;
    std::vector<std::size_t> first_group_;     // of each channel
    std::vector<std::vector<PageId>> owners_;  // of each channel, the page at each place
};

}  // namespace kz::image
