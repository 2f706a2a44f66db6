#include "client/storage.h"

#include <algorithm>

#include "base/text.h"
#include "storage/contents.h"
#include "storage/host_data.h"
#include "storage/volume.h"
#include "store/boot_disk.h"

namespace kz::client {
namespace {

Result<storage::Suri> suri_of(const zone::Device& device) {
    KZ_TRY_CONTEXT(storage::Suri suri, storage::Suri::parse(device.storage),
                   fmt::format("device {}: {}", device.id, device.storage));
    return suri;
}

Result<void> check_forced_ids(const zone::Config& config, const std::set<unsigned>& ids) {
    const std::vector<zone::Device> devices = config.devices();
    for (const unsigned id : ids) {
        if (std::ranges::find(devices, id, &zone::Device::id) == devices.end())
            return fail(Errc::invalid_argument, "force-storage-overwrite: the zone has no device {}", id);
    }
    return {};
}

std::unexpected<Error> holds_something(const zone::Device& device, const storage::Suri& suri,
                                       const std::string& contents, bool boot_disk) {
    return fail(Errc::already_exists,
                "device {}: {} is not empty: it holds {}; {}, install with -x force-storage-overwrite={}",
                device.id, suri.render(), contents,
                boot_disk ? "to overwrite it" : "to give it to the new zone as it is", device.id);
}

std::string clearing_boot_priority(const std::string& zone, const std::vector<zone::Device>& devices) {
    std::string commands;
    for (const zone::Device& device : devices)
        commands +=
            fmt::format("{}select device id={}; clear bootpri; end", commands.empty() ? "" : "; ", device.id);
    return fmt::format("zonecfg -z {} '{}'", zone, commands);
}

}  // namespace

Result<std::unique_ptr<storage::Volume>> open_device(const zone::Device& device,
                                                     const storage::StorageAccess& access) {
    KZ_TRY(const storage::Suri suri, storage::Suri::parse(device.storage));
    KZ_TRY_CONTEXT(std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access),
                   fmt::format("device {}", device.id));
    return volume;
}

Result<void> check_one_boot_disk(const zone::Config& config, const std::string& installer) {
    std::vector<zone::Device> devices = config.devices();
    std::erase_if(devices, [](const zone::Device& device) { return !device.bootpri; });
    if (devices.size() < 2) return {};
    std::vector<std::string> ids;
    for (const zone::Device& device : devices)
        ids.push_back(std::to_string(device.id));
    const std::vector<zone::Device> others(devices.begin() + 1, devices.end());
    return fail(
        Errc::unsupported,
        "devices {} have a bootpri: the zone is to be installed on a mirror of them, which the "
        "installer of '{}' cannot make. To install it on device {} alone, with the other as data:\n   {}",
        join(ids, " and "), installer, devices.front().id, clearing_boot_priority(config.name(), others));
}

Result<storage::HostData> check_ownership(const store::Registry& registry, const zone::Config& config,
                                          const std::string& uuid) {
    const auto look = [&]() -> Result<storage::HostData> {
        KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry, config));
        return disk.read_owned(uuid);
    };
    Result<storage::HostData> data = look();
    if (data || data.error().code() == Errc::unavailable) return data;
    return fail(Errc::unavailable, "{}", data.error().message());
}

Result<std::vector<storage::Suri>> create_missing_volumes(const zone::Config& config, std::uint64_t bytes,
                                                          const storage::StorageAccess& access) {
    std::vector<storage::Suri> created;
    for (const zone::Device& device : config.devices()) {
        const auto create = [&]() -> Result<void> {
            KZ_TRY(const storage::Suri suri, suri_of(device));
            KZ_TRY(const bool exists, storage::volume_exists(suri, access));
            if (exists) return {};
            KZ_CHECK(storage::create_volume(suri, bytes, access));
            created.push_back(suri);
            return {};
        };
        if (Result<void> done = create(); !done) {
            destroy_volumes(created, access);
            return std::unexpected(std::move(done).error().context(fmt::format("device {}", device.id)));
        }
    }
    return created;
}

void destroy_volumes(const std::vector<storage::Suri>& volumes, const storage::StorageAccess& access) {
    for (const storage::Suri& suri : volumes) [[maybe_unused]]
        const Result<void> destroyed = storage::destroy_volume(suri, access);
}

Result<void> check_sole_user(const store::Registry& registry, const std::string& zone,
                             const std::string& uuid) {
    KZ_TRY(const std::vector<store::ZoneStatus> statuses, store::list_statuses(registry));
    for (const store::ZoneStatus& other : statuses) {
        if (other.name != zone && other.uuid == uuid && zone::has_installation(other.state)) {
            return fail(Errc::unavailable,
                        "the disk belongs to zone '{}' of this host; detach or uninstall that zone first",
                        other.name);
        }
    }
    return {};
}

Result<void> check_unclaimed(const store::Registry& registry, const std::string& zone,
                             storage::Volume& volume) {
    KZ_TRY(const storage::HostDataProbe probe, storage::HostDataArea::probe(volume));
    if (!probe.unverified || !probe.unverified->owner) return {};
    KZ_TRY(const store::HostIdentity host, store::host_identity(registry.paths()));
    if (!host.owns(*probe.unverified->owner))
        return fail(Errc::unavailable, "{}", store::in_use_message(zone, *probe.unverified));
    return check_sole_user(registry, zone, probe.unverified->zone_uuid);
}

Result<void> check_overwrite(const store::Registry& registry, const zone::Config& config,
                             const InstallOptions& options) {
    KZ_CHECK(check_forced_ids(config, options.force_overwrite_ids));
    KZ_TRY(const zone::Device boot_device, store::BootDisk::device_of(config));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(registry.paths()));
    for (const zone::Device& device : config.devices()) {
        const std::string which = fmt::format("device {}", device.id);
        KZ_TRY(const storage::Suri suri, suri_of(device));
        KZ_TRY_CONTEXT(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access),
                       which);
        KZ_CHECK(check_unclaimed(registry, config.name(), *volume));
        if (options.force_overwrite || options.force_overwrite_ids.contains(device.id)) continue;
        KZ_TRY_CONTEXT(const std::string contents, storage::describe_contents(*volume), which);
        if (!contents.empty()) return holds_something(device, suri, contents, device.id == boot_device.id);
    }
    return {};
}

}  // namespace kz::client
