// What a SCSI disk answers, decoded. Internal to storage.
//
// Theory of operation
//
// Pure functions over bytes that came from a target, which may be hostile: every length in them is checked
// against the bytes that are there, lists are capped, text is reduced to printable ASCII. Errors are
// Errc::protocol. Layouts are those of SPC-4 and SBC-3; all integers big-endian:
//
//   INQUIRY          0: qualifier (3 bits), device type (5)   4: n - 5   8: vendor (8)   16: product (16)
//   VPD page         0: as above   1: page   2: length (2)   4: payload
//     0x83 payload   designators: 0: code set (low 4 bits)   1: association (bits 4-5), type (low 4)
//                                 3: length   4: designator
//     0xb0 page      5: most blocks of COMPARE AND WRITE   8: most blocks of a transfer (4)
//   REPORT LUNS      0: length of the list (4)   8: entries of 8
//   READ CAPACITY    (10) 0: last block (4)   4: bytes per block (4)     (16) the same with 8 and 4
//   MODE SENSE (6)   2: device specific: bit 7 write protected, bit 4 DPO and FUA   3: descriptors' length d
//                    4+d: page (low 6 bits), 0x08   6+d: bit 2 write cache enabled
//   sense            0x70/71: 2: key   12: code, qualifier      0x72/73: 1: key   2: code, qualifier
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "storage/scsi_cdb.h"

namespace kz::storage {

// A target that shows more is answered with an error.
inline constexpr std::size_t kMaxLuns = 16384;

struct StandardInquiry {
    bool present = false;  // a device is at this LUN
    bool disk = false;     // and it is a block device
    std::string vendor;
    std::string product;
};
Result<StandardInquiry> decode_inquiry(ByteView data);

// Of the supported pages.
Result<std::vector<Byte>> decode_vpd_pages(ByteView data);
Result<std::string> decode_serial(ByteView data);
// The names of the logical unit itself (not of its target or port), lower case, without duplicates:
// "naa.<16 or 32 digits>", "eui.<16, 24 or 32 digits>", "t10.<text>", in this order; locally assigned naa
// names after eui.
Result<std::vector<std::string>> decode_names(ByteView data);

struct BlockLimits {
    std::uint32_t max_transfer_blocks = 0;  // 0: not told
    Byte max_compare_and_write_blocks = 0;  // 0: cannot
};
Result<BlockLimits> decode_block_limits(ByteView data);

struct LunList {
    std::vector<unsigned> luns;  // ascending
    // How many more there are, addressed in ways that a SURI cannot say.
    std::size_t left_out = 0;
    // The list did not fit: ask again with this allocation. 0: it did.
    std::uint32_t needed = 0;
};
Result<LunList> decode_luns(ByteView data);

struct Capacity {
    std::uint64_t blocks = 0;
    std::uint32_t block_bytes = 0;
    std::uint64_t bytes() const { return blocks * block_bytes; }
    bool operator==(const Capacity&) const = default;
};
// Blocks of 512 to 4096 bytes; others are Errc::unsupported. The (10) form of a disk that is too large for
// it has blocks == 2^32.
Result<Capacity> decode_capacity_10(ByteView data);
Result<Capacity> decode_capacity_16(ByteView data);

struct ModeParameters {
    bool write_protected = false;
    bool fua = false;
    bool write_cache = true;  // so it is, when it does not tell
};
// Of MODE SENSE (6) for the caching page.
Result<ModeParameters> decode_mode(ByteView data);

Result<bool> decode_supported(ByteView data);

enum class SenseKey : Byte {
    none = 0x0,
    recovered = 0x1,
    not_ready = 0x2,
    medium_error = 0x3,
    hardware_error = 0x4,
    illegal_request = 0x5,
    unit_attention = 0x6,
    data_protect = 0x7,
    aborted = 0xb,
    miscompare = 0xe,
};
struct Sense {
    SenseKey key = SenseKey::none;
    std::uint16_t code = 0;  // additional sense code and qualifier: 0x2a09
    bool operator==(const Sense&) const = default;
};
// Sense that cannot be understood is {none, 0}: the command failed, nobody knows why.
Sense decode_sense(ByteView data);

// Without blanks around it, '?' for what is not printable ASCII; at most 255 bytes.
std::string printable(ByteView text);

}  // namespace kz::storage
