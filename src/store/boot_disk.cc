#include "store/boot_disk.h"

#include "base/log.h"

namespace kz::store {

std::string in_use_message(const std::string& zone, const storage::HostData& data) {
    return fmt::format(
        "ERROR: zone {0} is in use by host with hostid {1}\n"
        "      last known state: {2}\n"
        "              hostname: {3}\n"
        "      last update time: {4}\n"
        "To fix, detach the zone from the other host then attach it to this host\n"
        "If the zone is not active on another host, attach it with\n"
        "   zoneadm -z {0} attach -x force-takeover",
        zone, data.owner->host_id, data.state, data.owner->host_name, data.last_update);
}

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
    KZ_TRY_CONTEXT(storage::HostDataArea area, storage::HostDataArea::open(*volume, *key),
                   fmt::format("device {}", device.id));
    return BootDisk(config.name(), std::move(host), std::move(volume), std::move(area));
}

Result<storage::HostData> BootDisk::read() {
    Result<storage::HostDataRead> found = area_.read();
    if (found) return std::move(found->data);
    // Only another key makes the area answer so.
    if (found.error().code() == Errc::permission)
        return fail(Errc::permission, "{}", storage::wrong_key_message(zone_));
    return std::unexpected(std::move(found).error());
}

Result<void> BootDisk::write(storage::HostData data) {
    data.last_update = utc_timestamp();
    KZ_CHECK(area_.write(data));
    return {};
}

Result<void> BootDisk::initialize(const std::string& zone_uuid, std::string_view state) {
    storage::HostData data;
    data.zone_uuid = zone_uuid;
    data.epoch = 1;
    data.owner = host_.as_owner();
    data.state = state;
    data.last_update = utc_timestamp();
    return area_.initialize(data);
}

Result<storage::HostData> BootDisk::read_owned(const std::string& zone_uuid) {
    KZ_TRY(storage::HostData data, read());
    if (data.zone_uuid != zone_uuid) {
        return fail(Errc::unavailable, "the boot disk belongs to another zone (uuid {}, this zone is {})",
                    data.zone_uuid, zone_uuid);
    }
    if (!data.owner) {
        return fail(Errc::unavailable,
                    "no host owns the zone's disk; attach it with\n   zoneadm -z {} attach", zone_);
    }
    if (!host_.owns(*data.owner)) return fail(Errc::unavailable, "{}", in_use_message(zone_, data));
    return data;
}

Result<storage::HostData> BootDisk::take(bool by_force) {
    KZ_TRY(storage::HostData data, read());
    if (data.owner && !host_.owns(*data.owner) && !by_force)
        return fail(Errc::unavailable, "{}", in_use_message(zone_, data));
    data.owner = host_.as_owner();
    data.handover.reset();
    data.epoch += 1;
    KZ_CHECK(write(data));
    return data;
}

Result<void> BootDisk::release() {
    KZ_TRY(storage::HostData data, read());
    if (!data.owner) return {};
    if (!host_.owns(*data.owner)) return fail(Errc::unavailable, "{}", in_use_message(zone_, data));
    data.owner.reset();
    data.epoch += 1;
    return write(std::move(data));
}

Result<void> BootDisk::hand_to(const storage::Owner& owner, std::string_view state) {
    KZ_TRY(storage::HostData data, read());
    if (!data.owner || !host_.owns(*data.owner))
        return fail(Errc::unavailable, "this host does not own the zone's disk any more");
    data.owner = owner;
    data.state = state;
    data.epoch += 1;
    return write(std::move(data));
}

}  // namespace kz::store
