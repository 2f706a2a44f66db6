// BootDisk: a zone's boot disk, opened together with its host data, and the rules of who may use it. For the
// monitor and the client API.
//
// The one place that decides ownership: every boot, attach, detach, install and hand-over asks here
// (DESIGN.md section 5). An object serves one thread at a time.
#pragma once

#include <memory>
#include <string>

#include "storage/host_data.h"
#include "store/host.h"
#include "store/registry.h"

namespace kz::store {

class BootDisk {
  public:
    // The device that the zone boots from: the first in boot order. Errors: Errc::invalid_argument when the
    // configuration has none.
    static Result<zone::Device> device_of(const zone::Config& config);

    // Opens the volume under the zone's key; reads nothing yet.
    static Result<BootDisk> open(const Registry& registry, const zone::Config& config);

    storage::Volume& volume() { return *volume_; }
    // Errors: those of HostDataArea::read; a wrong key in the original's two lines.
    Result<storage::HostData> read();
    Result<void> write(storage::HostData data);
    // New host data of this host, whatever the disk holds: install and attach -x initialize-hostdata.
    Result<void> initialize(const std::string& zone_uuid, std::string_view state);

    // Host data that says that this host owns the disk of this very zone. Otherwise an error in the
    // original's words: Errc::unavailable with who owns it and what to do, or that nobody does (attach it).
    Result<storage::HostData> read_owned(const std::string& zone_uuid);
    // Takes a disk that nobody owns (or, by force, somebody else does): epoch + 1, this host.
    Result<storage::HostData> take(bool by_force);
    // This host owns it no longer: attach takes it here or elsewhere.
    Result<void> release();
    // The commit point of a hand-over: epoch + 1, the other host is the owner.
    Result<void> hand_to(const storage::Owner& owner, std::string_view state);

  private:
    BootDisk(std::string zone, HostIdentity host, std::unique_ptr<storage::Volume> volume,
             storage::HostDataArea area)
        : zone_(std::move(zone)),
          host_(std::move(host)),
          volume_(std::move(volume)),
          area_(std::move(area)) {}

    std::string zone_;
    HostIdentity host_;
    std::unique_ptr<storage::Volume> volume_;
    storage::HostDataArea area_;
};

// The original's text about a zone that another host owns, one line for each fact.
std::string in_use_message(const std::string& zone, const storage::HostData& data);

}  // namespace kz::store
