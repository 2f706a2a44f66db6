#include "client/client.h"

#include "client/locked_zone.h"

namespace kz::client {

Result<Client> Client::open(const HostPaths& paths) {
    KZ_TRY(store::Registry registry, store::Registry::open(paths));
    return Client(std::move(registry));
}

Result<store::ZoneStatus> Client::status(const std::string& zone) const {
    return store::status_of(registry_, zone);
}

Result<std::vector<store::ZoneStatus>> Client::statuses() const {
    return store::list_statuses(registry_);
}

Result<void> Client::mark(const std::string& zone, zone::State state) {
    KZ_TRY(LockedZone locked, LockedZone::take(registry_, zone));
    const zone::State from = locked.status().state;
    if (from != zone::State::installed && from != zone::State::unavailable && from != zone::State::incomplete)
        return locked.wrong_state("mark");
    return locked.put_state(state, "marked by the administrator");
}

Result<void> Client::rename(const std::string& zone, const std::string& new_name) {
    KZ_TRY(LockedZone locked, LockedZone::take(registry_, zone));
    if (locked.status().state != zone::State::configured) return locked.wrong_state("rename");
    return registry_.rename(zone, new_name);
}

}  // namespace kz::client
