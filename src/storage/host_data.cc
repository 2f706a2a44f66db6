#include "storage/host_data.h"

#include <algorithm>

#include "storage/host_data_slot.h"

namespace kz::storage {
namespace {

// The first bytes of a slot: as much as its record has.
Result<Slot> read_slot(Volume& volume, std::uint64_t at, const Secret* key) {
    Bytes bytes(kVolumeBlock);
    KZ_CHECK(volume.read(at, bytes));
    const std::size_t needed = slot_bytes_needed(bytes);
    if (needed > bytes.size()) {
        bytes.resize(needed);
        KZ_CHECK(volume.read(at, bytes));
    }
    return decode_slot(bytes, key);
}

Result<SlotPair> read_slots(Volume& volume, std::uint64_t area, const Secret* key) {
    SlotPair pair;
    for (unsigned i = 0; i < pair.slots.size(); ++i) {
        KZ_TRY(pair.slots[i], read_slot(volume, area + kSlotOffsets[i], key));
    }
    return pair;
}

// Which slot counts, when it is ours to read.
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
    if (!current) return fail(Errc::not_found, "the disk holds no host data");
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

Result<void> write_zeros(Volume& volume, std::uint64_t from, std::uint64_t to) {
    return volume.write_durable(from, Bytes(to - from));
}

}  // namespace

Result<std::uint64_t> guest_bytes(std::uint64_t volume_bytes) {
    const std::uint64_t whole_blocks = volume_bytes / kVolumeBlock * kVolumeBlock;
    if (whole_blocks <= kHostDataBytes) {
        return fail(Errc::invalid_argument,
                    "a volume of {} bytes is too small: {} are taken by the host data", volume_bytes,
                    kHostDataBytes);
    }
    return whole_blocks - kHostDataBytes;
}

std::string wrong_key_message(std::string_view zone) {
    return fmt::format(
        "Encryption key is incorrect.  See linux-kz(7) for configuration migration\n"
        "procedure or update /etc/zones/keys/{}.",
        zone);
}

Result<HostDataArea> HostDataArea::open(Volume& volume, const Secret& keysource) {
    KZ_TRY(const std::uint64_t start, guest_bytes(volume.size_bytes()));
    KZ_TRY(Secret key, host_data_key(keysource));
    return HostDataArea(volume, std::move(key), start);
}

Result<HostDataRead> HostDataArea::read() {
    KZ_TRY(const SlotPair pair, read_slots(*volume_, start_, &key_));
    KZ_TRY(const unsigned current, pick_slot(pair));
    HostDataRead result;
    KZ_TRY_CONTEXT(result.data, parse_host_data(pair.slots[current].body), "host data");
    result.generation = pair.slots[current].generation;
    result.warning = warning_about(pair.slots[1 - current]);
    generation_ = result.generation;
    attempted_.reset();
    return result;
}

Result<void> HostDataArea::check_unchanged(const Slot& current) const {
    if (generation_ == 0) return fail(Errc::wrong_state, "host data must be read before they are written");
    if (current.generation == generation_) return {};
    if (current.generation == generation_ + 1 && attempted_ == current.mac) return {};
    return fail(Errc::busy, "another host has changed the host data (generation {} where {} was expected)",
                current.generation, generation_);
}

Result<void> HostDataArea::write(const HostData& data) {
    KZ_TRY(const SlotPair pair, read_slots(*volume_, start_, &key_));
    KZ_TRY(const unsigned current, pick_slot(pair));
    KZ_CHECK(check_unchanged(pair.slots[current]));
    return write_slot(1 - current, pair.slots[current].generation + 1, data);
}

Result<void> HostDataArea::initialize(const HostData& data) {
    KZ_TRY(const SlotPair pair, read_slots(*volume_, start_, &key_));
    std::optional<unsigned> current = pair.current();
    if (current && pair.slots[*current].generation == kMaxGeneration) {
        KZ_CHECK(erase(*volume_));
        current.reset();
    }
    const unsigned slot = current ? 1 - *current : 0;
    // Above what is there: from the moment it is written, only the new key opens the host data.
    KZ_CHECK(write_slot(slot, current ? pair.slots[*current].generation + 1 : 1, data));
    // Writing all the rest also makes the file system allocate it: a full disk cannot stop a later update.
    const std::uint64_t slot_end = start_ + kSlotOffsets[slot] + kSlotBytes;
    KZ_CHECK(write_zeros(*volume_, start_, start_ + kSlotOffsets[slot]));
    return write_zeros(*volume_, slot_end, start_ + kHostDataBytes);
}

Result<void> HostDataArea::write_slot(unsigned slot, std::uint64_t generation, const HostData& data) {
    KZ_TRY(const Bytes bytes, encode_slot(generation, render_host_data(data), key_));
    KZ_TRY(const Slot attempt, decode_slot(bytes, nullptr));
    const std::uint64_t at = start_ + kSlotOffsets[slot];
    attempted_ = attempt.mac;
    KZ_CHECK_CONTEXT(volume_->write_durable(at, bytes), "writing host data");
    Bytes seen(bytes.size());
    KZ_CHECK_CONTEXT(volume_->read(at, seen), "reading host data back");
    if (seen != bytes) return fail(Errc::io, "the disk does not give back the host data that were written");
    generation_ = generation;
    attempted_.reset();
    return {};
}

Result<void> HostDataArea::erase(Volume& volume) {
    KZ_TRY(const std::uint64_t start, guest_bytes(volume.size_bytes()));
    return write_zeros(volume, start, start + kHostDataBytes);
}

Result<HostDataProbe> HostDataArea::probe(Volume& volume) {
    KZ_TRY(const std::uint64_t start, guest_bytes(volume.size_bytes()));
    KZ_TRY(const SlotPair pair, read_slots(volume, start, nullptr));
    HostDataProbe probe;
    if (pair.any(SlotKind::newer_version)) {
        probe.kind = HostDataProbe::Kind::newer_version;
        return probe;
    }
    const std::optional<unsigned> current = pair.current();
    if (!current) {
        probe.kind = pair.any(SlotKind::damaged) ? HostDataProbe::Kind::damaged : HostDataProbe::Kind::blank;
        return probe;
    }
    Result<HostData> data = parse_host_data(pair.slots[*current].body);
    probe.kind = data ? HostDataProbe::Kind::present : HostDataProbe::Kind::damaged;
    if (data) probe.unverified = *std::move(data);
    return probe;
}

}  // namespace kz::storage
