#include "store/boot_disk.h"

#include "base/log.h"
#include "store/boot_disk_parts.h"

namespace kz::store {

BootDisk::BootDisk(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
BootDisk::BootDisk(BootDisk&&) noexcept = default;
BootDisk& BootDisk::operator=(BootDisk&&) noexcept = default;
BootDisk::~BootDisk() = default;

Result<zone::Device> BootDisk::device_of(const zone::Config& config) {
    const std::vector<zone::Device> devices = config.devices();
    if (devices.empty())
        return fail(Errc::invalid_argument,
                    "the zone has no device to boot from; add one with zonecfg: add device");
    return devices.front();
}

Result<BootDisk> BootDisk::open(const Registry& registry, const zone::Config& config) {
    KZ_TRY(const zone::Device device, device_of(config));
    KZ_TRY_CONTEXT(const storage::Suri suri, storage::Suri::parse(device.storage),
                   fmt::format("device {}: {}", device.id, device.storage));
    KZ_TRY(const Settings settings, load_settings(registry.paths()));
    KZ_TRY(const storage::StorageAccess access, storage_access(registry.paths()));
    KZ_TRY_CONTEXT(std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access),
                   fmt::format("device {}", device.id));
    Result<Secret> key = registry.keysource(config.name());
    if (!key)
        return fail(
            key.error().code(),
            "the zone has no encryption key; import its configuration with the keysource resource, or see {}",
            registry.paths().key_file(config.name()).string());
    KZ_TRY(HostIdentity host, host_identity(registry.paths()));
    KZ_TRY_CONTEXT(BootDisk disk,
                   over(std::move(volume), *key, config.name(), std::move(host), settings.lease,
                        storage::system_lease_clock()),
                   fmt::format("device {}", device.id));
    // Whatever is written is on the disk before anybody may take it over, or not at all.
    disk.parts_->area.bound_writes(settings.lease.fence);
    return disk;
}

Result<BootDisk> BootDisk::over(std::unique_ptr<storage::Volume> volume, const Secret& key,
                                const std::string& zone, HostIdentity host, storage::LeaseTimings timings,
                                storage::LeaseClock& clock) {
    KZ_TRY(storage::HostDataArea area, storage::HostDataArea::open(*volume, key));
    return BootDisk(
        std::make_unique<Parts>(zone, std::move(host), std::move(volume), std::move(area), timings, clock));
}

storage::Volume& BootDisk::volume() {
    return *parts_->volume;
}

std::string BootDisk::take_warning() {
    const std::lock_guard turn(parts_->turn);
    return std::exchange(parts_->warning, {});
}

Result<storage::HostData> BootDisk::read() {
    const std::lock_guard turn(parts_->turn);
    return read_in_turn();
}

Result<storage::HostData> BootDisk::read_in_turn() {
    Result<storage::HostDataRead> found = parts_->area.read();
    if (found) {
        if (const auto held = lease()) held->notice(*found);
        if (!found->warning.empty()) parts_->warning = found->warning;
        parts_->known = found->data;
        return std::move(found->data);
    }
    // Only another key makes the area answer so.
    if (found.error().code() == Errc::permission)
        return fail(Errc::permission, "{}", storage::wrong_key_message(parts_->zone));
    return std::unexpected(std::move(found).error());
}

Result<void> BootDisk::write(storage::HostData data) {
    const std::lock_guard turn(parts_->turn);
    const std::optional<storage::HostData>& known = parts_->known;
    if (known && (known->owner != data.owner || known->epoch != data.epoch))
        return fail(Errc::busy, "the owner of the zone's disk has changed");
    return write_in_turn(std::move(data));
}

Result<void> BootDisk::write_in_turn(storage::HostData data) {
    data.last_update = utc_timestamp();
    const std::optional<storage::HostData> next = data;
    if (const auto held = lease()) {
        KZ_CHECK(held->write(parts_->area, std::move(data)));
    } else {
        KZ_CHECK(parts_->area.write(data));
    }
    parts_->known = next;
    return {};
}

Result<storage::HostData> BootDisk::settle() {
    const std::lock_guard turn(parts_->turn);
    // Storage that answers carries out what it was given before; only then does a look at it count.
    KZ_CHECK(read_in_turn());
    KZ_CHECK(parts_->clock.wait(parts_->timings.late(), -1));
    KZ_TRY(const storage::HostData found, read_in_turn());
    if (!found.owner || !parts_->host.owns(*found.owner)) return found;
    // Both slots: nothing of before can become the current one any more.
    KZ_CHECK(write_in_turn(found));
    KZ_CHECK(write_in_turn(found));
    return read_in_turn();
}

Result<storage::HostData> BootDisk::read_owned(const std::string& zone_uuid) {
    const std::lock_guard turn(parts_->turn);
    return read_owned_in_turn(zone_uuid);
}

Result<storage::HostData> BootDisk::read_owned_in_turn(const std::string& zone_uuid) {
    KZ_TRY(storage::HostData data, read_in_turn());
    if (data.zone_uuid != zone_uuid) {
        return fail(Errc::unavailable, "the boot disk belongs to another zone (uuid {}, this zone is {})",
                    data.zone_uuid, zone_uuid);
    }
    if (!data.owner) {
        return fail(Errc::unavailable,
                    "no host owns the zone's disk; attach it with\n   zoneadm -z {} attach", parts_->zone);
    }
    if (!parts_->host.owns(*data.owner))
        return fail(Errc::unavailable, "{}", in_use_message(parts_->zone, data));
    if (data.claim) {
        return fail(Errc::unavailable,
                    "this host has begun to take the zone's disk over and has not finished; go on with\n"
                    "   zoneadm -z {} attach",
                    parts_->zone);
    }
    return data;
}

Result<void> BootDisk::change_owner(const std::optional<storage::Owner>& owner, std::string_view state,
                                    std::string_view phase) {
    KZ_TRY(storage::HostData data, read_in_turn());
    if (!data.owner && !owner) return {};
    if (!data.owner || !parts_->host.owns(*data.owner)) {
        if (owner || !data.owner)
            return fail(Errc::unavailable, "this host does not own the zone's disk any more");
        return fail(Errc::unavailable, "{}", in_use_message(parts_->zone, data));
    }
    data.change_owner(owner, utc_timestamp());
    if (owner) data.state = state;
    if (!phase.empty() && data.handover) data.handover->phase = phase;
    return write_in_turn(std::move(data));
}

Result<void> BootDisk::release() {
    const std::lock_guard turn(parts_->turn);
    return change_owner(std::nullopt, {});
}

Result<void> BootDisk::hand_to(const storage::Owner& owner, std::string_view state, std::string_view phase) {
    const std::lock_guard turn(parts_->turn);
    return change_owner(owner, state, phase);
}

std::shared_ptr<storage::Lease> BootDisk::lease() const {
    const std::lock_guard lock(parts_->lease_mutex);
    return parts_->lease;
}

Result<storage::HostData> BootDisk::hold_lease(const std::string& zone_uuid) {
    const std::lock_guard turn(parts_->turn);
    KZ_TRY(storage::HostData data, read_owned_in_turn(zone_uuid));
    KZ_TRY(storage::HostDataRead held, parts_->area.read());
    if (held.data != data) return fail(Errc::busy, "another host is changing the host data");
    const std::lock_guard lock(parts_->lease_mutex);
    parts_->lease = std::make_shared<storage::Lease>(std::move(held), parts_->timings, parts_->clock);
    return data;
}

storage::Renewal BootDisk::renew() {
    const std::lock_guard turn(parts_->turn);
    return lease()->renew(parts_->area);
}

storage::LeaseState BootDisk::lease_state() const {
    return lease()->state();
}

storage::BootTime BootDisk::next_renewal() const {
    return lease()->next_renewal();
}

}  // namespace kz::store
