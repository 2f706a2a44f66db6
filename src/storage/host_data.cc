#include "storage/host_data.h"

#include <algorithm>

#include "os/kill_timer.h"
#include "storage/host_data_disk.h"
#include "storage/lease_clock.h"

namespace kz::storage {
namespace {

constexpr std::size_t kSector = 512;
constexpr std::size_t kMaxAttempts = 16;

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

void HostData::change_owner(std::optional<Owner> next, std::string since) {
    owner = std::move(next);
    owned_since = owner ? std::move(since) : std::string();
    epoch += 1;
    lease.reset();
    claim.reset();
}

Result<HostDataArea> HostDataArea::open(Volume& volume, const Secret& keysource) {
    KZ_TRY(const std::uint64_t start, guest_bytes(volume.size_bytes()));
    KZ_TRY(Secret key, host_data_key(keysource));
    return HostDataArea(volume, std::move(key), start);
}

Result<HostDataRead> HostDataArea::take_note(const SlotPair& slots) {
    KZ_TRY(const unsigned current, pick_slot(slots));
    HostDataRead result;
    KZ_TRY_CONTEXT(result.data, parse_host_data(slots.slots[current].body), "host data");
    result.generation = slots.slots[current].generation;
    result.mac = slots.slots[current].mac;
    result.warning = warning_about(slots.slots[1 - current]);
    seen_ = result.mac;
    seen_owner_ = result.data.owner;
    seen_epoch_ = result.data.epoch;
    return result;
}

Result<HostDataRead> HostDataArea::read() {
    const std::lock_guard lock(*mutex_);
    KZ_TRY(const DiskSlots found, read_slots(*volume_, start_, &key_));
    return take_note(found.pair);
}

Result<void> HostDataArea::check_unchanged(const Slot& current) const {
    if (!seen_) return fail(Errc::wrong_state, "host data must be read before they are written");
    if (current.mac == *seen_) return {};
    const auto is_ours = [&](const Attempt& attempt) {
        return attempt.same_owner && attempt.mac == current.mac;
    };
    if (std::ranges::any_of(attempted_, is_ours)) return {};
    return fail(Errc::busy, "another host has changed the host data (generation {})", current.generation);
}

Result<HostDataRead> HostDataArea::write(const HostData& data) {
    const std::lock_guard lock(*mutex_);
    if (!attempted_.empty()) KZ_CHECK(write_step(std::nullopt));
    return write_step(NewBody{.text = render_host_data(data),
                              .same_owner = data.owner == seen_owner_ && data.epoch == seen_epoch_});
}

Result<HostDataRead> HostDataArea::write_step(const std::optional<NewBody>& body) {
    {
        KZ_TRY(const KillTimer timer, KillTimer::arm(bound_));
        const BootTime begun = BootClock::now();
        KZ_TRY(const DiskSlots before, read_slots(*volume_, start_, &key_));
        KZ_TRY(const unsigned current, pick_slot(before.pair));
        const Slot& slot = before.pair.slots[current];
        KZ_CHECK(check_unchanged(slot));
        if (bound_.count() > 0 && BootClock::now() - begun > bound_ / 2)
            return fail(Errc::timeout, "reading host data took too long to write upon it");
        KZ_CHECK(put(before, 1 - current, slot.generation + 1, body ? *body : NewBody{slot.body, true}));
    }
    return look_again();
}

Result<HostDataRead> HostDataArea::look_again() {
    Result<DiskSlots> after = read_slots(*volume_, start_, &key_);
    if (!after) return std::unexpected(std::move(after).error().context("reading host data back"));
    const std::optional<unsigned> current = after->pair.current();
    const crypto::Sha256Digest expected = attempted_.back().mac;
    if (current && after->pair.slots[*current].mac == expected) {
        attempted_.clear();
        return take_note(after->pair);
    }
    if (current && seen_ && after->pair.slots[*current].mac == *seen_)
        return fail(Errc::io, "the disk does not give back the host data that were written");
    return fail(Errc::busy, "another host has changed the host data at the same moment");
}

Result<void> HostDataArea::put(const DiskSlots& before, unsigned slot, std::uint64_t generation,
                               const NewBody& body) {
    KZ_TRY(const Bytes bytes, encode_slot(generation, body.text, key_));
    KZ_TRY(const Slot attempt, decode_slot(bytes, nullptr));
    if (attempted_.size() == kMaxAttempts) attempted_.erase(attempted_.begin());
    attempted_.push_back({attempt.mac, body.same_owner});
    Result<void> done = put_bytes(before, slot, bytes);
    // Whoever came first, nothing of ours is on the disk or on its way.
    if (!done && done.error().code() == Errc::busy) attempted_.pop_back();
    if (!done) return std::unexpected(std::move(done).error().context("writing host data"));
    return {};
}

Result<void> HostDataArea::put_bytes(const DiskSlots& before, unsigned slot, ByteView bytes) {
    const std::uint64_t at = start_ + kSlotOffsets[slot];
    const std::size_t sectors = (slot_record_bytes(bytes) + kSector - 1) / kSector * kSector;
    if (sectors > volume_->compare_and_write_limit() || sectors > kVolumeBlock)
        return volume_->write_durable(at, bytes);
    const Result<bool> swapped = volume_->compare_and_write(
        at, ByteView(before.first_blocks[slot]).first(sectors), bytes.first(sectors));
    if (swapped && *swapped) return {};
    if (swapped) return fail(Errc::busy, "another host is changing them at the same moment");
    if (swapped.error().code() != Errc::unsupported) return std::unexpected(swapped.error());
    return volume_->write_durable(at, bytes);
}

Result<bool> HostDataArea::writes_in_one_step(const HostData& data) const {
    KZ_TRY(const Bytes bytes, encode_slot(1, render_host_data(data), key_));
    const std::size_t sectors = (slot_record_bytes(bytes) + kSector - 1) / kSector * kSector;
    return sectors <= volume_->compare_and_write_limit() && sectors <= kVolumeBlock;
}

Result<void> HostDataArea::initialize(const HostData& data) {
    const std::lock_guard lock(*mutex_);
    const std::string body = render_host_data(data);
    KZ_TRY(DiskSlots before, read_slots(*volume_, start_, &key_));
    if (before.pair.highest_generation() >= kMaxGeneration - before.pair.slots.size()) {
        KZ_CHECK(erase(*volume_));
        KZ_TRY(before, read_slots(*volume_, start_, &key_));
    }
    // Above what is there, and then in the other slot too: from the first on only the new key opens the host
    // data, and after the second no late write of the old one can count.
    const std::uint64_t highest = before.pair.highest_generation();
    const unsigned first = before.pair.current() ? 1 - *before.pair.current() : 0;
    const auto replace = [&](unsigned slot, std::uint64_t generation) -> Result<void> {
        KZ_TRY(const Bytes bytes, encode_slot(generation, body, key_));
        return volume_->write_durable(start_ + kSlotOffsets[slot], bytes);
    };
    KZ_CHECK(replace(first, highest + 1));
    if (highest > 0) KZ_CHECK(replace(1 - first, highest + 2));
    // Writing all the rest also makes the file system allocate it: a full disk cannot stop a later update.
    const std::uint64_t slot1 = start_ + kSlotOffsets[1];
    KZ_CHECK(write_zeros(*volume_, start_ + kSlotBytes, slot1));
    KZ_CHECK(write_zeros(*volume_, highest > 0 ? slot1 + kSlotBytes : slot1, start_ + kHostDataBytes));
    attempted_.clear();
    KZ_TRY_CONTEXT(const DiskSlots after, read_slots(*volume_, start_, &key_), "reading host data back");
    KZ_TRY(const HostDataRead seen, take_note(after.pair));
    if (seen.data == data) return {};
    return fail(Errc::io, "the disk does not give back the host data that were written");
}

Result<void> HostDataArea::erase(Volume& volume) {
    KZ_TRY(const std::uint64_t start, guest_bytes(volume.size_bytes()));
    return write_zeros(volume, start, start + kHostDataBytes);
}

Result<HostDataProbe> HostDataArea::probe(Volume& volume) {
    KZ_TRY(const std::uint64_t start, guest_bytes(volume.size_bytes()));
    KZ_TRY(const DiskSlots found, read_slots(volume, start, nullptr));
    const SlotPair& pair = found.pair;
    HostDataProbe probe;
    Bytes both = found.first_blocks[0];
    both.insert(both.end(), found.first_blocks[1].begin(), found.first_blocks[1].end());
    probe.fingerprint = crypto::sha256(both);
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
