// attach and detach: taking and releasing the ownership of a zone's disk.
#include <memory>

#include "client/client.h"
#include "client/locked_zone.h"
#include "client/storage.h"
#include "store/boot_disk.h"

namespace kz::client {
namespace {

// Host data of another host may be initialized: that is what the option is for. A zone of this host would
// lose its disk while it may be running.
Result<void> check_not_of_another_zone(const store::Registry& registry, const std::string& zone,
                                       storage::Volume& volume) {
    KZ_TRY(const storage::HostDataProbe probe, storage::HostDataArea::probe(volume));
    return probe.unverified ? check_sole_user(registry, zone, probe.unverified->zone_uuid) : Result<void>();
}

// Watching another host's disk lasts a minute or two: it is said how long, and every ten seconds how much is
// left.
store::TakeOptions watching(const Reporter& reporter, bool by_force) {
    using storage::Milliseconds;
    const auto said = std::make_shared<std::optional<Milliseconds>>();
    return {
        .by_force = by_force,
        .cancel_fd = reporter.cancel_fd,
        .progress = [reporter, said](Milliseconds left, const std::string& restarted) {
            constexpr Milliseconds kSaidEvery{10'000};
            constexpr Milliseconds kWorthAWord{2'000};
            if (left < kWorthAWord) return;
            const bool anew = !*said || left > **said;
            if (!anew && left > **said - kSaidEvery) return;
            *said = left;
            const auto seconds = std::chrono::ceil<std::chrono::seconds>(left).count();
            reporter.say(restarted.empty()
                             ? fmt::format("watching whether another host uses the disk: {} s left", seconds)
                             : fmt::format("watching the disk anew: {}", restarted));
        }};
}

std::string overwritten(const storage::HostData& before) {
    return fmt::format("host data of host {} (hostid {}), last updated {}, were overwritten.",
                       before.owner->host_name, before.owner->host_id, before.last_update);
}

}  // namespace

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
        KZ_CHECK(check_not_of_another_zone(registry_, zone, disk.volume()));
        KZ_TRY(const std::optional<storage::HostData> before,
               disk.reinitialize(uuid, "installed", watching(reporter, true)));
        KZ_TRY(const store::HostIdentity host, store::host_identity(registry_.paths()));
        if (before && before->owner && !host.owns(*before->owner)) reporter.say(overwritten(*before));
        reporter.say("host data was initialized; a suspend image written before can no longer be resumed.");
        return locked.put_state(zone::State::installed);
    }
    KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry_, config));
    KZ_TRY(const storage::HostData found, disk.read());
    if (const std::string warning = disk.take_warning(); !warning.empty()) reporter.say(warning);
    KZ_CHECK(check_sole_user(registry_, zone, found.zone_uuid));
    KZ_TRY(const storage::HostData data, disk.take(watching(reporter, options.force_takeover)));
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
    const auto release = [&]() -> Result<void> {
        KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry_, config));
        KZ_TRY(const storage::HostData data, disk.read());
        if (data.zone_uuid != locked.status().uuid)
            return fail(Errc::unavailable, "the boot disk belongs to another zone (uuid {})", data.zone_uuid);
        return disk.release();
    };
    // An unavailable zone lets go of the disk if it can: often it does not own, reach or read it any more.
    if (const Result<void> released = release(); !released && state == zone::State::installed)
        return released;
    return locked.put_state(zone::State::configured);
}

}  // namespace kz::client
