#include "storage/host_data_disk.h"

namespace kz::storage {
namespace {

// Reads as much as the slot's record has.
Result<Slot> read_slot(Volume& volume, std::uint64_t at, const Secret* key, Bytes& first_block) {
    first_block.resize(kVolumeBlock);
    KZ_CHECK(volume.read(at, first_block));
    const std::size_t needed = slot_bytes_needed(first_block);
    if (needed <= first_block.size()) return decode_slot(first_block, key);
    Bytes whole(needed);
    KZ_CHECK(volume.read(at, whole));
    first_block.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(first_block.size()));
    return decode_slot(whole, key);
}

}  // namespace

Result<DiskSlots> read_slots(Volume& volume, std::uint64_t area, const Secret* key) {
    DiskSlots found;
    for (unsigned i = 0; i < found.pair.slots.size(); ++i) {
        KZ_TRY(found.pair.slots[i], read_slot(volume, area + kSlotOffsets[i], key, found.first_blocks[i]));
    }
    return found;
}

Result<unsigned> pick_slot(const SlotPair& pair) {
    if (pair.any(SlotKind::newer_version))
        return fail(Errc::unsupported,
                    "the host data were written by a later version of kzones; nothing was changed");
    const std::optional<unsigned> current = pair.current();
    if (!current && pair.any(SlotKind::damaged)) {
        return fail(Errc::corrupt,
                    "both copies of the host data are damaged; to start over with new host data "
                    "(suspended memory is lost) use: attach -x initialize-hostdata");
    }
    if (!current)
        return fail(
            Errc::not_found,
            "the disk holds no host data; if the zone is on it all the same, make new ones (suspended "
            "memory is lost) with: attach -x initialize-hostdata");
    if (!pair.slots[*current].authentic) return fail(Errc::permission, "Encryption key is incorrect.");
    return *current;
}

std::string warning_about(const Slot& other) {
    switch (other.kind) {
        case SlotKind::damaged:
        case SlotKind::foreign:
            return "one of the two copies of the host data is damaged; the next update repairs it";
        case SlotKind::intact:
            return other.authentic ? "" : "one of the two copies of the host data is under another key";
        case SlotKind::blank:
        case SlotKind::newer_version:
            break;
    }
    return {};
}

}  // namespace kz::storage
