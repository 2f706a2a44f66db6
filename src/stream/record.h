// Records: the unit in which a channel's bytes are sealed. For src/stream and src/image.
//
// Theory of operation
//
// A channel is an ordered stream of bytes that ends. It is cut into records of up to 256 KiB; each is sealed
// on its own under the channel's key (stream/keys.h) and numbered from 0, so that a record that is changed,
// lost, repeated, moved or taken from another channel does not open. The last record of a channel is of the
// type `final`: a channel that ends without it was cut off. The same records go over the network and into
// images.
//
// Layout, little-endian:
//
//    0  u32  length: bytes of payload as stored, 0 to 262144
//    4  u8   type: 1 data (length > 0), 2 final (length 0); 0 is never valid
//    5  u8   flags: bit 0 the payload is compressed by zstd, bit 1 by lz4 (data only, not both); others are 0
//    6  u16  0
//    8  u64  sequence: 0 for the channel's first record, then one more each
//   16  payload, `length` bytes
//    +  tags, 16 bytes for each lane
//
// A compressed payload is {u32 original length, one zstd frame or lz4 block}, and is always shorter than the
// original. Whoever seals chooses for each record; whoever opens takes all of them.
//
// Lanes. With aes-128-ccm the payload is cut into lanes of 16 KiB (the last may be shorter), which are sealed
// independently so that multi-buffer AES can work on all of them at once; with every other cipher the payload
// is one lane. An empty payload is one empty lane. Each lane is an AEAD message of its own: additional data
// is the 16-byte header, nonce is the channel's 12-byte salt with {sequence << 8 | lane} as a little-endian
// 64-bit number xor-ed into its last 8 bytes. Header and nonce together fix the number, order and size of the
// lanes.
//
// The cipher `none` has neither encryption nor tags: a record is the header and the clear payload.
#pragma once

#include <array>

#include "base/bytes.h"
#include "crypto/aead.h"
#include "crypto/cipher.h"

namespace kz::stream {

inline constexpr std::size_t kRecordHeaderSize = 16;
inline constexpr std::size_t kMaxPayload = 256 * 1024;
inline constexpr std::size_t kLaneSize = 16 * 1024;
inline constexpr std::size_t kMaxLanes = kMaxPayload / kLaneSize;
inline constexpr std::size_t kMaxRecordSize = kRecordHeaderSize + kMaxPayload + kMaxLanes * crypto::kTagSize;
// 1 PiB in full records: long before AES's 128-bit blocks or the nonce's 56 bits of sequence would limit a
// key.
inline constexpr std::uint64_t kMaxRecords = std::uint64_t{1} << 32;

enum class RecordType : std::uint8_t { data = 1, final = 2 };
inline constexpr Byte kFlagZstd = 1;
inline constexpr Byte kFlagLz4 = 2;

struct RecordHeader {
    std::uint32_t length = 0;
    RecordType type = RecordType::data;
    Byte flags = 0;
    std::uint64_t sequence = 0;

    bool compressed() const { return flags != 0; }
};

void encode_record_header(const RecordHeader& header, std::span<Byte, kRecordHeaderSize> out);
// Everything that the layout forbids is Errc::corrupt.
Result<RecordHeader> decode_record_header(std::span<const Byte, kRecordHeaderSize> in);

// The number of lanes, and so of tags, of a payload of `length` bytes.
std::size_t lane_count(crypto::Cipher cipher, std::size_t length);
// See "Lanes" above.
crypto::Nonce lane_nonce(const crypto::Nonce& salt, std::uint64_t sequence, std::size_t lane);
// Header, payload and tags.
std::size_t sealed_size(crypto::Cipher cipher, std::size_t length);

}  // namespace kz::stream
