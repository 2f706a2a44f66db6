// The index of a suspend image: where each record of each channel is. Private to src/image; layout in
// format.h.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "image/format.h"

namespace kz::image {

struct IndexEntry {
    std::uint64_t file_offset = 0;
    std::uint64_t plain_offset = 0;
    std::uint32_t plain_length = 0;
    std::uint32_t sealed_length = 0;
};

// Of each channel, by its number, the entries by record number.
using Index = std::vector<std::vector<IndexEntry>>;

Bytes encode_index(const Index& index);

// What the entries must agree with.
struct IndexBounds {
    crypto::Cipher cipher = crypto::kDefaultCipher;
    std::uint32_t channel_count = 0;
    std::uint64_t records_end = 0;  // file offset that no record reaches beyond
};
// Errc::corrupt unless every channel is there, its records follow each other in the plain stream without gap,
// lie between the header and records_end, and end with a final one.
Result<Index> decode_index(ByteView bytes, const IndexBounds& bounds);

}  // namespace kz::image
