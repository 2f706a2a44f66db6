// The keys of an image's channels and index, and the index as sealed records. Private to src/image; see
// format.h.
#pragma once

#include "image/format.h"
#include "stream/keys.h"

namespace kz::image {

Result<stream::ChannelKeys> channel_keys(const Header& header, ByteView keysource, std::uint32_t channel);

// The index as a run of records with a final one.
Result<Bytes> seal_index(const Header& header, ByteView keysource, ByteView index);
// Errc::corrupt when it does not open or has more than `cap` bytes.
Result<Bytes> open_index(const Header& header, ByteView keysource, ByteView sealed, std::uint64_t cap);

}  // namespace kz::image
