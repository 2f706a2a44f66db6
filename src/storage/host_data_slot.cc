#include "storage/host_data_slot.h"

#include <algorithm>

#include "crypto/hkdf.h"

namespace kz::storage {
namespace {

constexpr std::string_view kMagic = "KZHOSTD\n";
constexpr std::string_view kKeyInfo = "kzones host-data mac v1";
constexpr std::size_t kVersionOffset = 8;
constexpr std::size_t kLengthOffset = 12;
constexpr std::size_t kGenerationOffset = 16;

bool has_magic(ByteView bytes) {
    return bytes.size() >= kSlotHeaderBytes && as_text(bytes.first(kMagic.size())) == kMagic;
}

std::size_t round_up_to_block(std::size_t bytes) {
    return (bytes + kVolumeBlock - 1) / kVolumeBlock * kVolumeBlock;
}

}  // namespace

Result<Secret> host_data_key(const Secret& keysource) {
    return crypto::hkdf_sha256(keysource.view(), {}, kKeyInfo, crypto::kSha256Size);
}

std::size_t slot_bytes_needed(ByteView first_block) {
    if (!has_magic(first_block)) return 0;
    const std::size_t body = load_le<std::uint32_t>(first_block.data() + kLengthOffset);
    if (body > kMaxBodyBytes) return 0;
    return round_up_to_block(kSlotHeaderBytes + body + 2 * crypto::kSha256Size);
}

Result<Slot> decode_slot(ByteView bytes, const Secret* key) {
    Slot slot;
    if (!has_magic(bytes)) {
        const ByteView header = bytes.first(std::min(bytes.size(), kSlotHeaderBytes));
        const bool zero = std::ranges::all_of(header, [](Byte byte) { return byte == 0; });
        slot.kind = zero ? SlotKind::blank : SlotKind::foreign;
        return slot;
    }
    slot.kind = SlotKind::damaged;
    const auto version = load_le<std::uint32_t>(bytes.data() + kVersionOffset);
    if (version > kSlotVersion) slot.kind = SlotKind::newer_version;
    if (version != kSlotVersion) return slot;
    const std::size_t body_size = load_le<std::uint32_t>(bytes.data() + kLengthOffset);
    const auto generation = load_le<std::uint64_t>(bytes.data() + kGenerationOffset);
    if (body_size > kMaxBodyBytes || generation == 0 || generation > kMaxGeneration) return slot;
    slot.claimed_generation = generation;
    const std::size_t digest_at = kSlotHeaderBytes + body_size;
    const std::size_t mac_at = digest_at + crypto::kSha256Size;
    if (bytes.size() < mac_at + crypto::kSha256Size) return slot;
    const crypto::Sha256Digest digest = crypto::sha256(bytes.first(digest_at));
    if (!std::ranges::equal(digest, bytes.subspan(digest_at, digest.size()))) return slot;

    slot.kind = SlotKind::intact;
    slot.generation = generation;
    slot.body = as_text(bytes.subspan(kSlotHeaderBytes, body_size));
    std::ranges::copy(bytes.subspan(mac_at, slot.mac.size()), slot.mac.begin());
    if (key != nullptr) {
        KZ_TRY(const crypto::Sha256Digest expected, crypto::hmac_sha256(key->view(), bytes.first(mac_at)));
        slot.authentic = equal_in_constant_time(expected, slot.mac);
    }
    return slot;
}

Result<Bytes> encode_slot(std::uint64_t generation, std::string_view body, const Secret& key) {
    if (body.size() > kMaxBodyBytes)
        return fail(Errc::invalid_argument, "host data of {} bytes, {} at most fit", body.size(),
                    kMaxBodyBytes);
    Bytes bytes(kMagic.begin(), kMagic.end());
    append_le(bytes, kSlotVersion);
    append_le(bytes, static_cast<std::uint32_t>(body.size()));
    append_le(bytes, generation);
    bytes.resize(kSlotHeaderBytes);
    bytes.insert(bytes.end(), body.begin(), body.end());
    const crypto::Sha256Digest digest = crypto::sha256(bytes);
    bytes.insert(bytes.end(), digest.begin(), digest.end());
    KZ_TRY(const crypto::Sha256Digest mac, crypto::hmac_sha256(key.view(), bytes));
    bytes.insert(bytes.end(), mac.begin(), mac.end());
    bytes.resize(round_up_to_block(bytes.size()));
    return bytes;
}

std::size_t slot_record_bytes(ByteView slot) {
    return kSlotHeaderBytes + load_le<std::uint32_t>(slot.data() + kLengthOffset) + 2 * crypto::kSha256Size;
}

std::optional<unsigned> SlotPair::current() const {
    std::optional<unsigned> best;
    for (unsigned i = 0; i < slots.size(); ++i) {
        if (slots[i].kind != SlotKind::intact) continue;
        if (!best || slots[i].generation > slots[*best].generation) best = i;
    }
    return best;
}

}  // namespace kz::storage
