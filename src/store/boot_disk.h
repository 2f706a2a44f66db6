// BootDisk: a zone's boot disk, opened together with its host data, and the rules of who may use it. For the
// monitor and the client API.
//
// The one place that decides ownership: every boot, attach, detach, install and hand-over asks here
// (DESIGN.md section 5). Any thread may call any of it: what reads and writes host data takes turns, and
// holds its turn for no longer than the storage takes; only settle() keeps it for some seconds, in which
// nothing may be written. lease_state() and next_renewal() never wait for a
// turn: they answer while the storage stalls.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "storage/host_data.h"
#include "storage/lease.h"
#include "storage/lease_takeover.h"
#include "store/host.h"
#include "store/registry.h"
#include "store/settings.h"

namespace kz::store {

// How a disk is taken that is not this host's yet.
struct TakeOptions {
    bool by_force = false;  // also from another owner, once nothing is seen of it
    int cancel_fd = -1;     // readable: give up
    // While a watch runs: how long is left, and why it started over, if it did.
    std::function<void(storage::Milliseconds left, const std::string& restarted)> progress{};
};

class BootDisk {
  public:
    // The device that the zone boots from: the first in boot order. Errors: Errc::invalid_argument when the
    // configuration has none.
    static Result<zone::Device> device_of(const zone::Config& config);

    // Opens the volume under the zone's key; reads nothing of it yet.
    static Result<BootDisk> open(const Registry& registry, const zone::Config& config);
    // The same over a volume and a clock of the caller's: for tests.
    static Result<BootDisk> over(std::unique_ptr<storage::Volume> volume, const Secret& key,
                                 const std::string& zone, HostIdentity host, storage::LeaseTimings timings,
                                 storage::LeaseClock& clock);
    BootDisk(BootDisk&&) noexcept;
    BootDisk& operator=(BootDisk&&) noexcept;
    ~BootDisk();

    storage::Volume& volume();
    // Errors: those of HostDataArea::read; a wrong key in the original's two lines.
    Result<storage::HostData> read();
    // Everything but the ownership; `data` was read from this object. Errors: those of HostDataArea::write;
    // Errc::busy when the ownership is not that of `data` any more.
    Result<void> write(storage::HostData data);
    // What read(), or a renewal, has found out of order but usable: a sentence, once. Empty: nothing.
    std::string take_warning();
    // After a write that failed, or whose outcome is not known: what the disk says, for good. No write of
    // before can change it any more when this returns. Takes some seconds (LeaseTimings::late()).
    Result<storage::HostData> settle();

    // New host data of this host, whatever the disk holds: install.
    Result<void> initialize(const std::string& zone_uuid, std::string_view state);
    // The same on a disk that another host may own: attach -x initialize-hostdata. Watches that host first,
    // as take() does, and is refused in the same way. Returns what was overwritten, if it could be read.
    Result<std::optional<storage::HostData>> reinitialize(const std::string& zone_uuid,
                                                          std::string_view state, const TakeOptions& options);

    // Host data that says that this host owns the disk of this very zone. Otherwise an error in the
    // original's words: Errc::unavailable with who owns it and what to do, or that nobody does (attach it).
    Result<storage::HostData> read_owned(const std::string& zone_uuid);
    // Takes a disk that nobody owns (or, by force, one that somebody else does): epoch + 1, this host. It may
    // watch the disk for a minute or two. Errors: Errc::unavailable when another host owns it, claims it
    // successfully or shows that it lives; Errc::cancelled; those of read() and write().
    Result<storage::HostData> take(const TakeOptions& options = {});
    // This host owns it no longer: attach takes it here or elsewhere.
    Result<void> release();
    // The commit point of a hand-over: epoch + 1, the other host is the owner. `phase`, unless empty, is that
    // of the hand-over from now on. When it fails, settle() says whether it has happened.
    Result<void> hand_to(const storage::Owner& owner, std::string_view state, std::string_view phase = {});

    // From now on this host renews (storage/lease.h), and every write is a renewal. Errors: those of
    // read_owned(). Nothing is written: the guest may run after the first renew().
    Result<storage::HostData> hold_lease(const std::string& zone_uuid);
    // Of hold_lease(), which must have succeeded.
    storage::Renewal renew();
    storage::LeaseState lease_state() const;
    storage::BootTime next_renewal() const;

  private:
    struct Parts;
    explicit BootDisk(std::unique_ptr<Parts> parts);
    Result<storage::HostData> read_in_turn();
    Result<storage::HostData> read_owned_in_turn(const std::string& zone_uuid);
    Result<void> write_in_turn(storage::HostData data);
    Result<void> change_owner(const std::optional<storage::Owner>& owner, std::string_view state,
                              std::string_view phase = {});
    Result<storage::HostData> accept(Result<storage::Taken> taken) const;
    storage::Taking taking(const TakeOptions& options);
    std::shared_ptr<storage::Lease> lease() const;

    std::unique_ptr<Parts> parts_;
};

// The original's text about a zone that another host owns, one line for each fact. `seen_ago`: how long ago
// that host was seen to be alive, when somebody has looked.
std::string in_use_message(const std::string& zone, const storage::HostData& data,
                           std::optional<storage::Milliseconds> seen_ago = {});

}  // namespace kz::store
