// The format of suspend images. Private to src/image.
//
// Theory of operation
//
// An image is a header, the sealed records of some channels (stream/record.h), an index and a footer. The
// header is written first; then any number of threads append records wherever there is room; the index, which
// says where each record is, and the footer, which says where the index is, are written last. So an image
// without a valid footer is one whose writing did not come to its end. An image in a file gets its name only
// then, too.
//
// All keys come from the zone's keysource and the image's salt (32 random bytes), so no two images share
// keys:
//   mac key      HKDF(keysource, salt, "kzones image mac")              header and footer
//   channel N    derive_channel_keys(keysource, salt, "image", ...)     channel N's records
//   index        derive_channel_keys(keysource, salt, "image index", ...) as channel 0
// The header also has a SHA-256 of its own, which needs no key: it tells a damaged header from one of another
// zone.
//
// Layout, little-endian. Header, 4096 bytes at offset 0:
//
//     0  8   magic "KZIMAGE1"
//     8  u32 version: 1
//    12  u32 header length: 4096
//    16  u8  layout: 1 channels, 2 pages (image/page_table.h)
//    17  u8  cipher (crypto/cipher.h; never `none`)
//    18  u16 0
//    20  u32 number of channels, 1 to 1024
//    24  32  salt
//    56  16  zone uuid
//    72  16  image id, a random uuid
//    88  u64 epoch
//    96  u64 memory, bytes
//   104  u64 created, milliseconds since 1970, UTC
//   112  u32 number of CPUs
//   116  u32 length of the strings that follow
//   120      strings, each {u16 length, bytes}: zone name, machine type, QEMU version, CPU model, then the
//   devices
//    +       zeros
//  4032  32  SHA-256 of bytes 0 to 4031
//  4064  32  HMAC-SHA256 of bytes 0 to 4063 under the mac key
//
// Records follow from 4096 on, in any order and at any alignment; gaps are allowed and mean nothing.
//
// Index: the records of one more channel, one after the other. Their plain bytes are:
//     0  u32 number of channels
//     then for each channel, in the order of their numbers:
//     0  u32 channel number
//     4  u32 0
//     8  u64 number of entries
//     then its entries, 24 bytes each: entry N is the channel's record number N, the last one its final
//     record 0  u64 file offset of the record 8  u64 offset of its first byte in the channel's plain stream
//    16  u32 plain length, 1 to 262144; 0 for the final record
//    20  u32 length of the sealed record
//
// Footer, the last 4096 bytes of the file or device:
//     0  8   magic "KZIMGEND"
//     8  u64 file offset of the index
//    16  u64 length of the index, sealed
//    24  u64 number of data records
//    32  u64 plain bytes of all channels
//    40  u64 sealed bytes of all channels
//    48  16  image id
//    64      zeros
//  4064  32  HMAC-SHA256 of bytes 0 to 4063 under the mac key
#pragma once

#include <array>

#include "base/bytes.h"
#include "base/secret.h"
#include "image/info.h"

namespace kz::image {

inline constexpr std::size_t kBlock = 4096;
inline constexpr std::uint32_t kMaxChannels = 1024;
inline constexpr std::size_t kSaltSize = 32;

using Block = std::array<Byte, kBlock>;
using Salt = std::array<Byte, kSaltSize>;

struct Header {
    ImageInfo info;
    Salt salt{};
};

struct Footer {
    std::uint64_t index_offset = 0;
    std::uint64_t index_length = 0;
    std::uint64_t records = 0;
    std::uint64_t plain_bytes = 0;
    std::uint64_t sealed_bytes = 0;
    std::string image_id;
};

Result<Secret> derive_mac_key(ByteView keysource, const Salt& salt);

// Errc::invalid_argument when something does not fit (strings of more than 3912 bytes in all) or is no uuid.
Result<Block> encode_header(const Header& header, const Secret& mac_key);
// Without the key: form and SHA-256. Errors: Errc::corrupt; Errc::unsupported for another version or layout.
Result<Header> decode_header(const Block& block);
// Errc::permission: the key is not that of the zone that was suspended.
Result<void> verify_header(const Block& block, const Secret& mac_key);

Result<Block> encode_footer(const Footer& footer, const Secret& mac_key);
// Errc::corrupt when there is no footer or the key does not fit.
Result<Footer> decode_footer(const Block& block, const Secret& mac_key);

}  // namespace kz::image
