// Both slots of the host data as they are on a disk. Internal to storage.
#pragma once

#include "storage/host_data_slot.h"

namespace kz::storage {

struct DiskSlots {
    SlotPair pair;
    std::array<Bytes, 2> first_blocks;  // what COMPARE AND WRITE expects to find
};

// `area`: where the host data begin. Without a key nothing is authentic.
Result<DiskSlots> read_slots(Volume& volume, std::uint64_t area, const Secret* key);

// The slot that counts. Errors: those of HostDataArea::read.
Result<unsigned> pick_slot(const SlotPair& pair);

// A sentence about the slot that does not count, when it is not as it should be.
std::string warning_about(const Slot& other);

}  // namespace kz::storage
