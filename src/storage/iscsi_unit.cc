#include "storage/iscsi_unit.h"

#include <algorithm>
#include <thread>

#include "base/text.h"

namespace kz::storage {
namespace {

constexpr std::size_t kInquiryBytes = 96;
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kFirstLuns = 8 + 8 * 512;
constexpr std::uint32_t kDefaultTransfer = 256 * 1024;
// One for each kind of attention that a unit can hold back, and more than one round of them.
constexpr unsigned kMaxAttentions = 32;
constexpr std::chrono::milliseconds kBusyPause{50};

enum SenseCode : std::uint16_t {
    kBecomingReady = 0x0401,
    kNoSuchOperation = 0x2000,
    kBlockOutOfRange = 0x2100,
    kInvalidField = 0x2400,
    kNoSuchUnit = 0x2500,
    kWriteProtected = 0x2700,
    kCapacityChanged = 0x2a09,
    kInquiryChanged = 0x3f03,
    kUnitsChanged = 0x3f0e,
    kSpaceAllocationFailed = 0x2707,
};

bool tells_of_change(std::uint16_t code) {
    return code == kCapacityChanged || code == kInquiryChanged || code == kUnitsChanged;
}

bool is_illegal(const ScsiReply& reply) {
    return reply.status == ScsiStatus::check_condition && reply.sense.key == SenseKey::illegal_request;
}

}  // namespace

std::vector<std::string> UnitIdentity::unique_names() const {
    std::vector<std::string> out;
    std::ranges::copy_if(names, std::back_inserter(out), [](const std::string& name) {
        return !name.starts_with("naa.3") && !name.starts_with("t10.");
    });
    return out.empty() ? names : out;
}

bool UnitIdentity::same_unit(const UnitIdentity& other) const {
    return unique_names() == other.unique_names() && serial == other.serial && capacity == other.capacity &&
           inquiry.vendor == other.inquiry.vendor && inquiry.product == other.inquiry.product;
}

bool UnitIdentity::is_named(std::string_view luname) const {
    return std::ranges::find(names, to_lower(luname)) != names.end();
}

std::string UnitIdentity::description() const {
    return fmt::format("{} ({} {}, serial {}, {} bytes)", names.empty() ? "without a name" : names.front(),
                       inquiry.vendor, inquiry.product, serial.empty() ? "unknown" : serial,
                       capacity.bytes());
}

Result<ScsiReply> IscsiUnit::run(const Cdb& cdb, ByteView out, std::size_t expected, Deadline deadline) {
    for (unsigned attentions = 0;;) {
        if (changed_) return fail(Errc::wrong_state, "{}: it changed", where());
        KZ_TRY(ScsiReply reply, out.empty() ? session_->read_command(lun_, cdb, expected, deadline)
                                            : session_->write_command(lun_, cdb, out, deadline));
        const bool condition = reply.status == ScsiStatus::check_condition;
        if (condition && reply.sense.key == SenseKey::unit_attention) {
            if (tells_of_change(reply.sense.code)) changed_ = true;
            if (++attentions > kMaxAttentions)
                return fail(Errc::protocol, "{}: it has nothing but unit attentions to tell", where());
            continue;
        }
        const bool later = reply.status == ScsiStatus::busy ||
                           (condition && reply.sense == Sense{SenseKey::not_ready, kBecomingReady});
        if (!later) return reply;
        std::this_thread::sleep_for(kBusyPause);
        if (deadline.passed()) return fail(Errc::timeout, "{}: it stays busy", where());
    }
}

Error IscsiUnit::refused(const ScsiReply& reply, std::string_view what) const {
    if (reply.status == ScsiStatus::reservation_conflict)
        return Error::make(Errc::busy,
                           "{}: {}: another initiator holds a SCSI reservation; release it there, or clear "
                           "it on the target",
                           where(), what);
    const Sense sense = reply.sense;
    if (sense.key == SenseKey::data_protect && sense.code == kSpaceAllocationFailed)
        return Error::make(Errc::no_space, "{}: {}: the storage behind it is full", where(), what);
    if (sense.key == SenseKey::data_protect)
        return Error::make(Errc::permission, "{}: {}: it is write-protected; allow writes on the target",
                           where(), what);
    if (sense.key == SenseKey::illegal_request && sense.code == kNoSuchUnit)
        return Error::make(Errc::not_found, "{}: the target has no such LUN (any more)", where());
    if (sense.key == SenseKey::illegal_request && sense.code == kBlockOutOfRange)
        return Error::make(Errc::io, "{}: {}: it is smaller than it was", where(), what);
    if (sense.key == SenseKey::medium_error || sense.key == SenseKey::hardware_error)
        return Error::make(Errc::io, "{}: {}: the disk itself failed (sense {:x}/{:04x})", where(), what,
                           static_cast<unsigned>(sense.key), sense.code);
    return Error::make(Errc::io, "{}: {}: refused with sense {:x}/{:04x}", where(), what,
                       static_cast<unsigned>(sense.key), sense.code);
}

Result<Bytes> IscsiUnit::query(const Cdb& cdb, std::size_t expected, std::string_view what,
                               Deadline deadline) {
    KZ_TRY(ScsiReply reply, run(cdb, {}, expected, deadline));
    if (reply.status != ScsiStatus::good) return std::unexpected(refused(reply, what));
    return std::move(reply.data);
}

Result<Bytes> IscsiUnit::page(VpdPage page, Deadline deadline) {
    return query(cdb_inquiry(page, kPageBytes), kPageBytes, "INQUIRY", deadline);
}

Result<StandardInquiry> IscsiUnit::inquiry(Deadline deadline) {
    KZ_TRY(const Bytes data, query(cdb_inquiry(kInquiryBytes), kInquiryBytes, "INQUIRY", deadline));
    KZ_TRY_CONTEXT(StandardInquiry inquiry, decode_inquiry(data), where());
    if (!inquiry.present) return fail(Errc::not_found, "{}: the target has no such LUN", where());
    if (!inquiry.disk) return fail(Errc::unsupported, "{}: it is no disk", where());
    return inquiry;
}

Result<Capacity> IscsiUnit::capacity(Deadline deadline) {
    constexpr std::uint32_t kLong = 32;
    KZ_TRY(ScsiReply reply, run(cdb_read_capacity_16(kLong), {}, kLong, deadline));
    if (reply.status == ScsiStatus::good) return decode_capacity_16(reply.data);
    if (!is_illegal(reply) || reply.sense.code == kNoSuchUnit)
        return std::unexpected(refused(reply, "READ CAPACITY"));
    KZ_TRY(const Bytes data, query(cdb_read_capacity_10(), 8, "READ CAPACITY", deadline));
    return decode_capacity_10(data);
}

Result<ScsiReply> IscsiUnit::settle(Deadline deadline) {
    for (unsigned attempt = 0; attempt < kMaxAttentions; ++attempt) {
        changed_ = false;
        auto reply = run(cdb_test_unit_ready(), {}, 0, deadline);
        if (reply || !changed_) return reply;
    }
    return fail(Errc::protocol, "{}: it changes all the time", where());
}

Result<UnitIdentity> IscsiUnit::identify(Deadline deadline) {
    KZ_TRY(const ScsiReply ready, settle(deadline));
    if (is_illegal(ready) || ready.status == ScsiStatus::reservation_conflict)
        return std::unexpected(refused(ready, "TEST UNIT READY"));
    UnitIdentity identity;
    KZ_TRY(identity.inquiry, inquiry(deadline));
    if (ready.status != ScsiStatus::good) return std::unexpected(refused(ready, "TEST UNIT READY"));
    KZ_TRY_CONTEXT(identity.capacity, capacity(deadline), where());
    KZ_TRY(const Bytes supported, page(VpdPage::supported, deadline));
    KZ_TRY_CONTEXT(const auto pages, decode_vpd_pages(supported), where());
    const auto has = [&](VpdPage each) {
        return std::ranges::find(pages, static_cast<Byte>(each)) != pages.end();
    };
    if (has(VpdPage::serial)) {
        KZ_TRY(const Bytes data, page(VpdPage::serial, deadline));
        KZ_TRY_CONTEXT(identity.serial, decode_serial(data), where());
    }
    if (has(VpdPage::identification)) {
        KZ_TRY(const Bytes data, page(VpdPage::identification, deadline));
        KZ_TRY_CONTEXT(identity.names, decode_names(data), where());
    }
    return identity;
}

Result<bool> IscsiUnit::compare_and_write_offered(Deadline deadline) {
    constexpr std::uint32_t kSupportedBytes = 64;
    KZ_TRY(ScsiReply reply, run(cdb_report_supported(ScsiOpcode::compare_and_write, kSupportedBytes), {},
                                kSupportedBytes, deadline));
    if (reply.status == ScsiStatus::good) {
        KZ_TRY_CONTEXT(const bool supported, decode_supported(reply.data), where());
        if (!supported) return false;
    }
    // tgt 1.0.85 says twice that it can, and cannot. Of no blocks the command compares and writes nothing.
    KZ_TRY(const ScsiReply tried, run(cdb_compare_and_write(0, 0, false), {}, 0, deadline));
    return !(is_illegal(tried) && tried.sense.code == kNoSuchOperation);
}

Result<UnitAbilities> IscsiUnit::abilities(std::uint32_t block_bytes, Deadline deadline) {
    UnitAbilities out{.max_transfer_bytes = kDefaultTransfer};
    constexpr Byte kModeBytes = 255;
    KZ_TRY(const ScsiReply mode, run(cdb_mode_sense_caching(kModeBytes), {}, kModeBytes, deadline));
    if (mode.status == ScsiStatus::good) {
        KZ_TRY_CONTEXT(const ModeParameters parameters, decode_mode(mode.data), where());
        out.write_protected = parameters.write_protected;
        out.fua = parameters.fua;
        out.write_cache = parameters.write_cache;
    }
    KZ_TRY(const ScsiReply limits,
           run(cdb_inquiry(VpdPage::block_limits, kPageBytes), {}, kPageBytes, deadline));
    if (limits.status != ScsiStatus::good) return out;
    KZ_TRY_CONTEXT(const BlockLimits decoded, decode_block_limits(limits.data), where());
    if (decoded.max_transfer_blocks != 0)
        out.max_transfer_bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(
            kDefaultTransfer, std::uint64_t{decoded.max_transfer_blocks} * block_bytes));
    if (decoded.max_compare_and_write_blocks != 0) {
        KZ_TRY(const bool offered, compare_and_write_offered(deadline));
        if (offered) out.max_compare_and_write_bytes = decoded.max_compare_and_write_blocks * block_bytes;
    }
    return out;
}

Result<LunList> IscsiUnit::report_luns(IscsiSession& session, Deadline deadline) {
    // To the unit that every target has; another session's end is no reason to give up the list.
    std::size_t room = kFirstLuns;
    for (unsigned attempt = 0; attempt < kMaxAttentions; ++attempt) {
        KZ_TRY(const ScsiReply reply,
               session.read_command(0, cdb_report_luns(static_cast<std::uint32_t>(room)), room, deadline));
        if (reply.status == ScsiStatus::check_condition && reply.sense.key == SenseKey::unit_attention)
            continue;
        if (reply.status == ScsiStatus::busy) {
            std::this_thread::sleep_for(kBusyPause);
            continue;
        }
        if (reply.status != ScsiStatus::good)
            return fail(Errc::io, "{}: REPORT LUNS: refused with sense {:x}/{:04x}", session.where(),
                        static_cast<unsigned>(reply.sense.key), reply.sense.code);
        KZ_TRY_CONTEXT(LunList list, decode_luns(reply.data), session.where());
        if (list.needed == 0) return list;
        room = list.needed;
    }
    return fail(Errc::io, "{}: REPORT LUNS: no list after {} attempts", session.where(), kMaxAttentions);
}

Error IscsiUnit::refused_transfer(const ScsiReply& reply, bool fua, std::string_view what) const {
    if (fua && is_illegal(reply) && reply.sense.code == kInvalidField)
        return Error::make(Errc::unsupported, "{}: {}: it refuses FUA", where(), what);
    return refused(reply, what);
}

Result<void> IscsiUnit::read(std::uint64_t lba, std::uint32_t block_bytes, bool fua, MutableBytes bytes,
                             Deadline deadline) {
    const auto blocks = static_cast<std::uint32_t>(bytes.size() / block_bytes);
    KZ_TRY(const ScsiReply reply, run(cdb_read(lba, blocks, fua), {}, bytes.size(), deadline));
    if (reply.status != ScsiStatus::good) return std::unexpected(refused_transfer(reply, fua, "reading"));
    if (reply.data.size() != bytes.size())
        return fail(Errc::io, "{}: reading: {} bytes came instead of {}", where(), reply.data.size(),
                    bytes.size());
    std::ranges::copy(reply.data, bytes.begin());
    return {};
}

Result<void> IscsiUnit::write(std::uint64_t lba, std::uint32_t block_bytes, bool fua, ByteView bytes,
                              Deadline deadline) {
    const auto blocks = static_cast<std::uint32_t>(bytes.size() / block_bytes);
    KZ_TRY(const ScsiReply reply, run(cdb_write(lba, blocks, fua), bytes, 0, deadline));
    if (reply.status != ScsiStatus::good) return std::unexpected(refused_transfer(reply, fua, "writing"));
    return {};
}

Result<void> IscsiUnit::synchronize(Deadline deadline) {
    // Zero blocks from zero on: all of them.
    KZ_TRY(const ScsiReply reply, run(cdb_synchronize_cache(0, 0), {}, 0, deadline));
    if (reply.status == ScsiStatus::good) return {};
    if (is_illegal(reply) && reply.sense.code == kNoSuchOperation)
        return fail(Errc::unsupported, "{}: it cannot empty its write cache", where());
    return std::unexpected(refused(reply, "SYNCHRONIZE CACHE"));
}

Result<bool> IscsiUnit::compare_and_write(std::uint64_t lba, std::uint32_t block_bytes, bool fua,
                                          ByteView both, Deadline deadline) {
    const auto blocks = static_cast<Byte>(both.size() / 2 / block_bytes);
    KZ_TRY(const ScsiReply reply, run(cdb_compare_and_write(lba, blocks, fua), both, 0, deadline));
    if (reply.status == ScsiStatus::good) return true;
    if (reply.status == ScsiStatus::check_condition && reply.sense.key == SenseKey::miscompare) return false;
    return std::unexpected(refused(reply, "COMPARE AND WRITE"));
}

}  // namespace kz::storage
