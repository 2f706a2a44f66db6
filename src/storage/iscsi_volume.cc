#include "storage/iscsi_volume.h"

#include <algorithm>

#include "base/text.h"
#include "storage/iscsi_locate.h"

namespace kz::storage {
namespace {

// Not every target tells its sessions that a LUN was exchanged or resized (tgt 1.0.85 does not): after this
// time the unit is asked again who it is.
constexpr std::chrono::seconds kTrusted{1};
// How often one operation starts again because the unit told of a change that was none.
constexpr unsigned kMaxVerifications = 3;
// How often a COMPARE AND WRITE of part of a block starts again because the rest of it changed.
constexpr unsigned kMaxWidened = 64;

class IscsiVolume final : public Volume {
  public:
    IscsiVolume(Suri suri, StorageAccess access, IscsiInitiator initiator, FoundUnit found,
                UnitAbilities abilities)
        : suri_(std::move(suri)),
          access_(std::move(access)),
          initiator_(std::move(initiator)),
          unit_(std::move(found.unit)),
          identity_(std::move(found.identity)),
          abilities_(abilities),
          portal_(unit_->session().portal()),
          target_(unit_->session().target()),
          host_(unit_->session().host()),
          lun_(unit_->lun()) {}

    const Suri& suri() const override { return suri_; }
    std::uint64_t size_bytes() const override { return identity_.capacity.bytes(); }
    Result<void> read(std::uint64_t offset, MutableBytes out) override;
    Result<void> write_durable(std::uint64_t offset, ByteView bytes) override;
    Result<void> write(std::uint64_t offset, ByteView bytes) override;
    Result<void> flush() override;
    Result<VolumeBacking> backing() override;
    std::size_t compare_and_write_limit() const override { return abilities_.max_compare_and_write_bytes; }
    Result<bool> compare_and_write(std::uint64_t offset, ByteView expected, ByteView replacement) override;

  private:
    // Runs `operation` on the unit, with one deadline over all that it takes.
    template <typename T, typename Operation>
    Result<T> with_unit(Operation operation);
    Result<void> make_ready(Deadline deadline);
    Result<void> reconnect(Deadline deadline);
    Result<void> verify(const UnitIdentity& now) const;

    Result<void> read_blocks(IscsiUnit& unit, std::uint64_t offset, MutableBytes out, Deadline deadline);
    Result<void> read_any(IscsiUnit& unit, std::uint64_t offset, MutableBytes out, Deadline deadline);
    Result<void> write_blocks(IscsiUnit& unit, std::uint64_t offset, ByteView bytes, bool durable,
                              Deadline deadline);
    Result<void> synchronize(IscsiUnit& unit, Deadline deadline) const;
    Result<bool> compare_and_write_any(IscsiUnit& unit, std::uint64_t offset, ByteView expected,
                                       ByteView replacement, Deadline deadline);
    Result<void> check_range(std::uint64_t offset, std::size_t size) const;
    Result<void> check_write(std::uint64_t offset, std::size_t size) const;
    Result<void> check_writable() const;

    std::uint32_t block() const { return identity_.capacity.block_bytes; }
    // A multiple of the blocks.
    std::size_t most_at_once() const { return abilities_.max_transfer_bytes / block() * block(); }

    Suri suri_;
    StorageAccess access_;
    IscsiInitiator initiator_;
    std::unique_ptr<IscsiUnit> unit_;  // null: not connected
    UnitIdentity identity_;
    UnitAbilities abilities_;
    Deadline::Clock::time_point verified_ = Deadline::Clock::now();
    // Where it was last.
    IscsiPortal portal_;
    std::string target_;
    std::string host_;  // as the user names it, for the choice of the CHAP login
    unsigned lun_;
};

Result<void> IscsiVolume::verify(const UnitIdentity& now) const {
    if (now.same_unit(identity_)) return {};
    UnitIdentity resized = now;
    resized.capacity = identity_.capacity;
    if (resized.same_unit(identity_))
        return fail(Errc::wrong_state,
                    "its size changed from {} to {} bytes while it was in use; nothing more is read or "
                    "written",
                    identity_.capacity.bytes(), now.capacity.bytes());
    return fail(Errc::wrong_state,
                "another logical unit is there now, {}, instead of {}; nothing more is read or written",
                now.description(), identity_.description());
}

Result<void> IscsiVolume::reconnect(Deadline deadline) {
    unit_.reset();
    const auto take = [&](FoundUnit found) -> Result<void> {
        KZ_CHECK(verify(found.identity));
        unit_ = std::move(found.unit);
        verified_ = Deadline::Clock::now();
        portal_ = unit_->session().portal();
        target_ = unit_->session().target();
        host_ = unit_->session().host();
        lun_ = unit_->lun();
        return {};
    };
    // Where it was; if it is no longer there, where it is.
    const Deadline half = Deadline::after(std::chrono::milliseconds(deadline.poll_timeout() / 2));
    auto session = IscsiSession::log_in(portal_, target_, initiator_, host_, deadline.earlier(half));
    if (session) {
        auto unit = std::make_unique<IscsiUnit>(*std::move(session), lun_);
        auto identity = unit->identify(deadline.earlier(half));
        if (identity && take({.unit = std::move(unit), .identity = *std::move(identity)})) return {};
    }
    KZ_TRY(FoundUnit found, locate_unit(suri_, access_, initiator_, deadline));
    return take(std::move(found));
}

Result<void> IscsiVolume::make_ready(Deadline deadline) {
    if (unit_ == nullptr || !unit_->session().alive()) return reconnect(deadline);
    if (!unit_->changed() && Deadline::Clock::now() - verified_ < kTrusted) return {};
    const auto now = unit_->identify(deadline);
    auto verified = now ? verify(*now) : std::unexpected(now.error());
    if (!verified) {
        // It may have moved; then this finds it.
        if (verified.error().code() == Errc::not_found) return reconnect(deadline);
        unit_.reset();
        return verified;
    }
    verified_ = Deadline::Clock::now();
    return {};
}

template <typename T, typename Operation>
Result<T> IscsiVolume::with_unit(Operation operation) {
    const Deadline deadline = Deadline::after(access_.operation_timeout);
    for (unsigned attempt = 0;; ++attempt) {
        KZ_CHECK_CONTEXT(make_ready(deadline), suri_.render());
        Result<T> result = operation(*unit_, deadline);
        // A unit that tells of a change has not done what it was told: once verified, it is told again.
        if (result || !unit_->changed() || attempt == kMaxVerifications) {
            if (result) return result;
            if (result.error().code() == Errc::not_found) unit_.reset();  // the next operation looks for it
            return std::unexpected(std::move(result).error().context(suri_.render()));
        }
    }
}

Result<void> IscsiVolume::check_range(std::uint64_t offset, std::size_t size) const {
    if (offset <= size_bytes() && size <= size_bytes() - offset) return {};
    return fail(Errc::invalid_argument, "{}: {} bytes at {} are not within its {}", suri_.render(), size,
                offset, size_bytes());
}

Result<void> IscsiVolume::check_write(std::uint64_t offset, std::size_t size) const {
    KZ_CHECK(check_range(offset, size));
    if (offset % kVolumeBlock != 0 || size % kVolumeBlock != 0)
        return fail(Errc::invalid_argument, "{}: {} bytes at {} are not whole blocks", suri_.render(), size,
                    offset);
    return check_writable();
}

Result<void> IscsiVolume::check_writable() const {
    if (abilities_.write_protected)
        return fail(Errc::permission, "{}: the LUN is write-protected; allow writes on the target",
                    suri_.render());
    return {};
}

Result<void> IscsiVolume::read_blocks(IscsiUnit& unit, std::uint64_t offset, MutableBytes out,
                                      Deadline deadline) {
    while (!out.empty()) {
        const MutableBytes part = out.first(std::min(out.size(), most_at_once()));
        auto done = unit.read(offset / block(), block(), abilities_.fua, part, deadline);
        if (!done && done.error().code() == Errc::unsupported && abilities_.fua) {
            abilities_.fua = false;
            continue;
        }
        KZ_CHECK(std::move(done));
        offset += part.size();
        out = out.subspan(part.size());
    }
    return {};
}

Result<void> IscsiVolume::read_any(IscsiUnit& unit, std::uint64_t offset, MutableBytes out,
                                   Deadline deadline) {
    const std::uint64_t start = offset / block() * block();
    const std::uint64_t end = (offset + out.size() + block() - 1) / block() * block();
    if (start == offset && end == offset + out.size()) return read_blocks(unit, offset, out, deadline);
    Bytes whole(end - start);
    KZ_CHECK(read_blocks(unit, start, whole, deadline));
    std::ranges::copy(ByteView(whole).subspan(offset - start, out.size()), out.begin());
    return {};
}

Result<void> IscsiVolume::read(std::uint64_t offset, MutableBytes out) {
    KZ_CHECK(check_range(offset, out.size()));
    return with_unit<void>(
        [&](IscsiUnit& unit, Deadline deadline) { return read_any(unit, offset, out, deadline); });
}

Result<void> IscsiVolume::synchronize(IscsiUnit& unit, Deadline deadline) const {
    auto done = unit.synchronize(deadline);
    // Without a cache there is nothing to empty.
    if (!done && done.error().code() == Errc::unsupported && !abilities_.write_cache) return {};
    return done;
}

Result<void> IscsiVolume::write_blocks(IscsiUnit& unit, std::uint64_t offset, ByteView bytes, bool durable,
                                       Deadline deadline) {
    bool to_synchronize = durable && !abilities_.fua;
    while (!bytes.empty()) {
        const ByteView part = bytes.first(std::min(bytes.size(), most_at_once()));
        const bool fua = durable && abilities_.fua;
        auto done = unit.write(offset / block(), block(), fua, part, deadline);
        if (!done && done.error().code() == Errc::unsupported && fua) {
            abilities_.fua = false;
            to_synchronize = true;
            continue;
        }
        KZ_CHECK(std::move(done));
        offset += part.size();
        bytes = bytes.subspan(part.size());
    }
    return to_synchronize ? synchronize(unit, deadline) : Result<void>{};
}

Result<void> IscsiVolume::write_durable(std::uint64_t offset, ByteView bytes) {
    KZ_CHECK(check_write(offset, bytes.size()));
    return with_unit<void>([&](IscsiUnit& unit, Deadline deadline) {
        return write_blocks(unit, offset, bytes, true, deadline);
    });
}

Result<void> IscsiVolume::write(std::uint64_t offset, ByteView bytes) {
    KZ_CHECK(check_write(offset, bytes.size()));
    return with_unit<void>([&](IscsiUnit& unit, Deadline deadline) {
        return write_blocks(unit, offset, bytes, false, deadline);
    });
}

Result<void> IscsiVolume::flush() {
    return with_unit<void>([&](IscsiUnit& unit, Deadline deadline) { return synchronize(unit, deadline); });
}

// Sectors that are no whole blocks of the unit take those around them along, as they are now.
Result<bool> IscsiVolume::compare_and_write_any(IscsiUnit& unit, std::uint64_t offset, ByteView expected,
                                                ByteView replacement, Deadline deadline) {
    const std::uint64_t start = offset / block() * block();
    const std::uint64_t size = (offset + expected.size() + block() - 1) / block() * block() - start;
    const std::size_t skip = offset - start;
    const bool exact = size == expected.size();
    for (unsigned attempt = 0; attempt < kMaxWidened; ++attempt) {
        Bytes both(2 * size);
        const MutableBytes before = MutableBytes(both).first(size);
        const MutableBytes after = MutableBytes(both).subspan(size);
        if (!exact) {
            KZ_CHECK(read_blocks(unit, start, before, deadline));
            if (!std::ranges::equal(before.subspan(skip, expected.size()), expected)) return false;
            std::ranges::copy(before, after.begin());
        }
        std::ranges::copy(expected, before.subspan(skip).begin());
        std::ranges::copy(replacement, after.subspan(skip).begin());
        KZ_TRY(const bool done,
               unit.compare_and_write(start / block(), block(), abilities_.fua, both, deadline));
        if (done && !abilities_.fua) KZ_CHECK(synchronize(unit, deadline));
        if (done || exact) return done;
    }
    return fail(Errc::busy, "the sectors around it change all the time");
}

Result<bool> IscsiVolume::compare_and_write(std::uint64_t offset, ByteView expected, ByteView replacement) {
    KZ_CHECK(check_range(offset, expected.size()));
    constexpr std::size_t kSector = 512;
    if (expected.empty() || expected.size() != replacement.size() || offset % kSector != 0 ||
        expected.size() % kSector != 0)
        return fail(Errc::invalid_argument, "{}: not two of the same whole sectors", suri_.render());
    const std::uint64_t span =
        (offset + expected.size() + block() - 1) / block() * block() - offset / block() * block();
    if (compare_and_write_limit() == 0)
        return fail(Errc::unsupported, "{}: the LUN has no COMPARE AND WRITE", suri_.render());
    if (span > compare_and_write_limit())
        return fail(Errc::invalid_argument, "{}: it compares and writes at most {} bytes", suri_.render(),
                    compare_and_write_limit());
    KZ_CHECK(check_writable());
    return with_unit<bool>([&](IscsiUnit& unit, Deadline deadline) {
        return compare_and_write_any(unit, offset, expected, replacement, deadline);
    });
}

Result<VolumeBacking> IscsiVolume::backing() {
    // To be sure of where it is, and that it is still the same.
    KZ_CHECK(with_unit<void>([](IscsiUnit&, Deadline) { return Result<void>{}; }));
    IscsiBacking out{.portal = portal_.text(),
                     .target = target_,
                     .lun = lun_,
                     .initiator_name = initiator_.name(),
                     .chap = std::nullopt};
    if (const ChapLogin* login = initiator_.secrets().find(target_, host_))
        out.chap = ChapLogin{.user = login->user, .password = login->password.clone()};
    return VolumeBacking(std::move(out));
}

}  // namespace

Result<std::unique_ptr<Volume>> open_iscsi_volume(const Suri& suri, const StorageAccess& access) {
    KZ_TRY(IscsiInitiator initiator, IscsiInitiator::create(access));
    const Deadline deadline = Deadline::after(access.operation_timeout);
    KZ_TRY_CONTEXT(FoundUnit found, locate_unit(suri, access, initiator, deadline), suri.render());
    KZ_TRY_CONTEXT(const UnitAbilities abilities,
                   found.unit->abilities(found.identity.capacity.block_bytes, deadline), suri.render());
    return std::make_unique<IscsiVolume>(suri, access, std::move(initiator), std::move(found), abilities);
}

Result<bool> iscsi_exists(const Suri& suri, const StorageAccess& access) {
    KZ_TRY(const IscsiInitiator initiator, IscsiInitiator::create(access));
    const auto found = locate_unit(suri, access, initiator, Deadline::after(access.operation_timeout));
    if (found) return true;
    if (found.error().code() == Errc::not_found) return false;
    return std::unexpected(Error(found.error()).context(suri.render()));
}

}  // namespace kz::storage
