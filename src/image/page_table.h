// The page table of a suspend image of layout `pages`: where each page of the machine's memory is in the
// image. For src/image and src/monitor.
//
// Theory of operation
//
// Channel 0 of such an image holds all that is not memory, and this table; every other channel holds pages,
// 4096 bytes each, one after the other. Channels are sealed in records of 64 pages, so any page is reached
// by opening one record, and its neighbours in memory mostly come with it: whoever wrote the image had them
// in that order. A group is the pages of one record. A page that was written more than once (of a guest that
// ran meanwhile) counts only where the table says; a page that the table does not name is all zeros.
//
// Plain bytes of channel 0, little-endian:
//
//     0  u32 version: 1
//     4  u32 number of blocks of memory, 1 to 4096
//     8  u32 number of opaque parts, at most 16
//    12  u32 0
//    16  u64 number of runs
//        then for each part: {u64 length, bytes}
//        then for each block: {u64 size, a multiple of 4096; u32 length of its name, 1 to 255; name}
//        then for each run of pages, 24 bytes:
//     0  u32 block, in the order above        4  u32 number of pages, from 1 on
//     8  u64 number of the first page in its block
//    16  u32 channel, from 1 on              20  u32 number of the first page in the channel
//
// Runs do not overlap in memory, follow each other by block and page, and lie within their channel.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace kz::image {

inline constexpr std::size_t kPageSize = 4096;
inline constexpr std::size_t kGroupPages = 64;
inline constexpr std::size_t kGroupSize = kGroupPages * kPageSize;

struct PageBlock {
    std::string name;
    std::uint64_t bytes = 0;
    std::uint64_t pages() const { return bytes / kPageSize; }
};

// A page in the image.
struct PagePlace {
    std::uint32_t channel = 0;  // 0: nowhere, it is all zeros
    std::uint32_t number = 0;   // in the channel
    bool operator==(const PagePlace&) const = default;
};

class PageTable {
  public:
    // Errors: Errc::invalid_argument for what the layout forbids, and for more than 16 TiB of memory.
    static Result<PageTable> create(std::vector<PageBlock> blocks);

    const std::vector<PageBlock>& blocks() const { return blocks_; }
    // `block` and `page` must exist.
    PagePlace place(std::uint32_t block, std::uint64_t page) const { return places_[block][page]; }
    void put(std::uint32_t block, std::uint64_t page, PagePlace place) { places_[block][page] = place; }

  private:
    std::vector<PageBlock> blocks_;
    std::vector<std::vector<PagePlace>> places_;
};

// What channel 0 holds.
struct PageIndex {
    std::vector<Bytes> parts;  // whatever the writer wanted back
    PageTable table;
};

Bytes encode_page_index(const PageIndex& index);
// `memory_bytes` limits what is allocated for the table; channel_pages: of each channel, [0] unused. Errors:
// Errc::corrupt.
Result<PageIndex> decode_page_index(ByteView bytes, std::uint64_t memory_bytes,
                                    const std::vector<std::uint64_t>& channel_pages);

}  // namespace kz::image
