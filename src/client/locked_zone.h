// LockedZone: a zone under its lock, with its state as it is now. What every operation of the client API
// begins with.
#pragma once

#include <string>

#include "store/registry.h"
#include "store/status.h"

namespace kz::client {

class LockedZone {
  public:
    // Waits a short while for another command to finish. Errors: Errc::busy.
    static Result<LockedZone> take(const store::Registry& registry, const std::string& zone);

    const store::ZoneStatus& status() const { return status_; }
    // "OP operation is invalid for STATE zones." and its kin, in the original's words.
    std::unexpected<Error> wrong_state(std::string_view operation) const;
    // Replaces the record's state; its auxiliary states are dropped but for those given.
    Result<void> put_state(zone::State state, const std::string& reason = {}, const zone::AuxSet& aux = {});
    // The zone's uuid, made (and recorded) when it has none yet.
    Result<std::string> ensure_uuid();
    Result<void> put_uuid(const std::string& uuid);

  private:
    LockedZone(const store::Registry& registry, store::ZoneLock lock, store::ZoneStatus status)
        : registry_(&registry), lock_(std::move(lock)), status_(std::move(status)) {}
    const store::Registry* registry_;
    store::ZoneLock lock_;
    store::ZoneStatus status_;
};

}  // namespace kz::client
