// attach and detach: taking and releasing the ownership of a zone's disk.
#include "client/client.h"
#include "client/locked_zone.h"
#include "store/boot_disk.h"

namespace kz::client {

Result<void> Client::attach(const std::string& zone, const AttachOptions& options, const Reporter& reporter) {
    KZ_TRY(LockedZone locked, LockedZone::take(registry_, zone));
    const zone::State state = locked.status().state;
    if (state != zone::State::configured && state != zone::State::unavailable)
        return locked.wrong_state("attach");
    KZ_TRY(const zone::Config config, registry_.load_config(zone));
    if (options.initialize_host_data) {
        KZ_CHECK(registry_.ensure_keysource(zone));
        KZ_TRY(const std::string uuid, locked.ensure_uuid());
        KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry_, config));
        KZ_CHECK(disk.initialize(uuid, "installed"));
        reporter.say("host data was initialized; a suspend image written before can no longer be resumed.");
        return locked.put_state(zone::State::installed);
    }
    KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry_, config));
    KZ_TRY(const storage::HostData data, disk.take(options.force_takeover));
    KZ_CHECK(locked.put_uuid(data.zone_uuid));
    zone::AuxSet aux;
    if (data.suspend) aux.insert(zone::Aux::suspended);
    return locked.put_state(zone::State::installed, {}, aux);
}

Result<void> Client::detach(const std::string& zone) {
    KZ_TRY(LockedZone locked, LockedZone::take(registry_, zone));
    const zone::State state = locked.status().state;
    if (state != zone::State::installed && state != zone::State::unavailable)
        return locked.wrong_state("detach");
    KZ_TRY(const zone::Config config, registry_.load_config(zone));
    if (state == zone::State::installed) {
        KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry_, config));
        KZ_CHECK(disk.release());
    }
    return locked.put_state(zone::State::configured);
}

}  // namespace kz::client
