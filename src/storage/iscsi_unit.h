// IscsiUnit: one logical unit through one session: what it is, and its blocks. Internal to storage.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/iscsi_session.h"

namespace kz::storage {

// Who a logical unit is.
struct UnitIdentity {
    StandardInquiry inquiry;
    std::vector<std::string> names;  // as decode_names()
    std::string serial;
    Capacity capacity;

    // Those that no other unit in the world has; all, if it has none such.
    std::vector<std::string> unique_names() const;
    // The same unit, seen through another path or at another time.
    bool same_unit(const UnitIdentity& other) const;
    bool is_named(std::string_view luname) const;  // in any case
    // "naa.6001... (IET VIRTUAL-DISK, serial beaf11, 1073741824 bytes)"
    std::string description() const;
};

// What it can do.
struct UnitAbilities {
    bool write_protected = false;
    bool fua = false;
    bool write_cache = true;
    std::uint32_t max_transfer_bytes = 0;
    std::uint32_t max_compare_and_write_bytes = 0;  // 0: cannot
};

// Reservations and unit attentions are of the pair of initiator and unit, so of this object. One thread at a
// time. Errors name portal, target and LUN.
class IscsiUnit {
  public:
    IscsiUnit(std::unique_ptr<IscsiSession> session, unsigned lun)
        : session_(std::move(session)), lun_(lun) {}

    // Errors: Errc::not_found when there is no such LUN, Errc::unsupported when it is no disk.
    Result<UnitIdentity> identify(Deadline deadline);
    Result<UnitAbilities> abilities(std::uint32_t block_bytes, Deadline deadline);

    // `bytes` is whole blocks and at most UnitAbilities::max_transfer_bytes. Errc::unsupported: it knows no
    // `fua`.
    Result<void> read(std::uint64_t lba, std::uint32_t block_bytes, bool fua, MutableBytes bytes,
                      Deadline deadline);
    Result<void> write(std::uint64_t lba, std::uint32_t block_bytes, bool fua, ByteView bytes,
                       Deadline deadline);
    Result<void> synchronize(Deadline deadline);
    // `both`: what is expected, then what is to be there. False: something else is there.
    Result<bool> compare_and_write(std::uint64_t lba, std::uint32_t block_bytes, bool fua, ByteView both,
                                   Deadline deadline);

    // Every LUN of the session's target.
    static Result<LunList> report_luns(IscsiSession& session, Deadline deadline);

    // The unit said that it changed (its size, its identity): nothing more is done until it was identified
    // again.
    bool changed() const { return changed_; }
    IscsiSession& session() { return *session_; }
    unsigned lun() const { return lun_; }
    std::string where() const { return fmt::format("{}, LUN {}", session_->where(), lun_); }
    // For the next unit of the same target.
    std::unique_ptr<IscsiSession> release() { return std::move(session_); }

  private:
    // What TEST UNIT READY says once all unit attentions are taken: every new session finds some.
    Result<ScsiReply> settle(Deadline deadline);
    // Sends until the answer is about the command itself: unit attentions and BUSY are not.
    Result<ScsiReply> run(const Cdb& cdb, ByteView out, std::size_t expected, Deadline deadline);
    // As run(), and anything but GOOD is an error.
    Result<Bytes> query(const Cdb& cdb, std::size_t expected, std::string_view what, Deadline deadline);
    Result<Bytes> page(VpdPage page, Deadline deadline);
    Result<Capacity> capacity(Deadline deadline);
    Result<StandardInquiry> inquiry(Deadline deadline);
    // For a unit whose block limits say so.
    Result<bool> compare_and_write_offered(Deadline deadline);
    Error refused(const ScsiReply& reply, std::string_view what) const;
    Error refused_transfer(const ScsiReply& reply, bool fua, std::string_view what) const;

    std::unique_ptr<IscsiSession> session_;
    unsigned lun_;
    bool changed_ = false;
};

}  // namespace kz::storage
