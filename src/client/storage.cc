#include "client/storage.h"

#include <algorithm>

#include "storage/host_data.h"
#include "storage/volume.h"
#include "store/boot_disk.h"

namespace kz::client {
namespace {

constexpr std::size_t kLookedAt = 1024 * 1024;

Result<storage::Suri> suri_of(const zone::Device& device) {
    KZ_TRY_CONTEXT(storage::Suri suri, storage::Suri::parse(device.storage),
                   fmt::format("device {}: {}", device.id, device.storage));
    return suri;
}

Result<bool> is_blank(storage::Volume& volume, std::uint64_t offset, std::uint64_t length) {
    Bytes bytes(length);
    KZ_CHECK(volume.read(offset, bytes));
    return std::ranges::all_of(bytes, [](Byte byte) { return byte == 0; });
}

}  // namespace

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

Result<void> check_overwrite(const store::Registry& registry, const zone::Config& config, bool force) {
    KZ_TRY(const zone::Device device, store::BootDisk::device_of(config));
    KZ_TRY(const storage::Suri suri, suri_of(device));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(registry.paths()));
    KZ_TRY(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access));
    KZ_CHECK(check_unclaimed(registry, config.name(), *volume));
    if (force) return {};
    const std::uint64_t looked_at = std::min<std::uint64_t>(kLookedAt, volume->size_bytes());
    KZ_TRY(const bool blank_start, is_blank(*volume, 0, looked_at));
    KZ_TRY(const bool blank_end, is_blank(*volume, volume->size_bytes() - looked_at, looked_at));
    if (blank_start && blank_end) return {};
    return fail(Errc::already_exists,
                "device {}: {} is not empty; to overwrite it, install with -x force-overwrite", device.id,
                suri.render());
}

}  // namespace kz::client
