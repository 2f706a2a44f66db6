// One slot of the host data as bytes; see storage/host_data.h for the layout. Internal to storage (and its
// tests).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "base/secret.h"
#include "crypto/hash.h"
#include "storage/host_data.h"

namespace kz::storage {

inline constexpr std::size_t kSlotBytes = 64 * 1024;
inline constexpr std::array<std::uint64_t, 2> kSlotOffsets{0, 512 * 1024};
inline constexpr std::size_t kSlotHeaderBytes = 32;
inline constexpr std::size_t kMaxBodyBytes = kSlotBytes - kSlotHeaderBytes - 2 * crypto::kSha256Size;
inline constexpr std::uint32_t kSlotVersion = 1;
// No disk is written so often; higher generations are damage.
inline constexpr std::uint64_t kMaxGeneration = std::uint64_t{1} << 62;

enum class SlotKind {
    blank = 1,      // zeros
    foreign,        // something that was never host data
    damaged,        // host data, but torn
    newer_version,  // of a format that is not known here
    intact,         // complete, under whatever key
};

struct Slot {
    SlotKind kind = SlotKind::blank;
    // These of an intact slot only.
    std::uint64_t generation = 0;
    std::string body;
    crypto::Sha256Digest mac{};
    bool authentic = false;  // under the key given
    // What the header says, also of a slot that is damaged; 0 when that cannot be.
    std::uint64_t claimed_generation = 0;
};

// How many bytes of the slot must be read, as its first block says (0: no more than that block).
std::size_t slot_bytes_needed(ByteView first_block);

// `bytes` is the slot's beginning; more than the record itself does no harm. Without a key `authentic` stays
// false.
Result<Slot> decode_slot(ByteView bytes, const Secret* key);

// Whole blocks. Errors: Errc::invalid_argument when the body is longer than kMaxBodyBytes.
Result<Bytes> encode_slot(std::uint64_t generation, std::string_view body, const Secret& key);

// Of bytes that encode_slot() made: without the zeros at their end.
std::size_t slot_record_bytes(ByteView slot);

// The body. Errors of parsing: Errc::corrupt.
Result<HostData> parse_host_data(std::string_view body);
std::string render_host_data(const HostData& data);

// The key of the slots' HMAC.
Result<Secret> host_data_key(const Secret& keysource);

struct SlotPair {
    std::array<Slot, 2> slots;
    // The intact slot with the highest generation; nothing when none is intact.
    std::optional<unsigned> current() const;
    // The highest that was ever written here, as far as can be told.
    std::uint64_t highest_generation() const {
        return std::max(slots[0].claimed_generation, slots[1].claimed_generation);
    }
    bool any(SlotKind kind) const { return slots[0].kind == kind || slots[1].kind == kind; }
};

}  // namespace kz::storage
