// install and uninstall.
#include <fmt/format.h>

#include <chrono>

#include "client/client.h"
#include "client/locked_zone.h"
#include "client/new_disk.h"
#include "client/storage.h"
#include "install/archive.h"
#include "install/debian.h"
#include "install/manifest.h"
#include "install/mini.h"
#include "install/seed.h"
#include "monitor/machine.h"
#include "monitor/suspend.h"
#include "storage/volume.h"
#include "store/boot_disk.h"

namespace kz::client {
namespace {

using std::chrono::steady_clock;

// What the zone is made from.
struct Origin {
    install::Manifest manifest;  // without an archive
    std::optional<install::Archive> archive;
    bool with_agent = true;  // for an archive
    install::Profile profile;
};

Result<Origin> read_origin(const InstallOptions& options, const zone::Config& config) {
    Origin origin;
    if (!options.archive.empty()) {
        KZ_TRY(origin.archive, install::open_archive(options.archive));
        origin.with_agent = !options.no_agent;
    } else {
        KZ_TRY(origin.manifest, install::load_manifest(options.manifest, HostPaths::share()));
    }
    KZ_CHECK(check_one_boot_disk(config, options.archive.empty() ? options.manifest : options.archive));
    const ProfileUse use = origin.archive                                     ? ProfileUse::archive
                           : origin.manifest.builder == install::kMiniBuilder ? ProfileUse::mini
                                                                              : ProfileUse::debian;
    KZ_TRY(origin.profile, read_zone_profile(options.profile, config, use));
    return origin;
}

std::uint64_t new_disk_size(const InstallOptions& options, const Origin& origin) {
    constexpr std::uint64_t kDefaultSize = 16ULL << 30;
    if (options.install_size) return *options.install_size;
    return origin.manifest.size > 0 ? origin.manifest.size : kDefaultSize;
}

Result<void> build_from_archive(const NewDisk& what, const Origin& origin, const std::string& uuid) {
    return fill_new_disk(what, false, [&](install::InstallRequest& request) -> Result<void> {
        install::ArchiveRequest archive;
        archive.archive = *origin.archive;
        archive.disk = request.disk;
        archive.usable_bytes = request.usable_bytes;
        archive.uefi = what.config.uefi();
        archive.work_dir = request.work_dir;
        archive.uid = monitor::machine_uid(uuid);
        request.profile = origin.profile;
        archive.seed = install::plan_seed(request, uuid, hardware_addresses(what.config));
        if (origin.with_agent) {
            KZ_TRY(archive.seed.agent, install::load_seed_agent(request.share_dir, request.activity()));
        }
        archive.activity = request.activity();
        return install::install_archive(archive);
    });
}

Result<void> build_disk(const NewDisk& what, const Origin& origin, const std::string& uuid) {
    if (origin.archive) return build_from_archive(what, origin, uuid);
    return fill_new_disk(what, true, [&](install::InstallRequest& request) -> Result<void> {
        request.manifest = origin.manifest;
        request.profile = origin.profile;
        const bool mini = origin.manifest.builder == install::kMiniBuilder;
        KZ_CHECK(mini ? install::install_mini(request) : install::install_debian(request));
        return {};
    });
}

bool may_hold_data(const InstallOptions& options) {
    return options.force_overwrite || !options.force_overwrite_ids.empty();
}

// Disks that were named by a template are ours to destroy; others belong to whoever made them.
bool made_by_template(const zone::Config& config, unsigned device_id) {
    for (const zone::Resource* resource : config.resources("device")) {
        if (resource->get("id") == std::to_string(device_id))
            return resource->get("storage.template").has_value();
    }
    return false;
}

Result<void> erase_or_destroy(const zone::Config& config, const zone::Device& device, bool boot_disk,
                              bool destroy_all, const storage::StorageAccess& access) {
    KZ_TRY(const storage::Suri suri, storage::Suri::parse(device.storage));
    KZ_TRY(const bool exists, storage::volume_exists(suri, access));
    if (!exists) return {};
    if (destroy_all || made_by_template(config, device.id)) {
        const Result<void> destroyed = storage::destroy_volume(suri, access);
        // LUNs and devices stay, and lose their host data.
        if (destroyed || destroyed.error().code() != Errc::unsupported) return destroyed;
    }
    if (!boot_disk) return {};
    KZ_TRY(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access));
    return storage::HostDataArea::erase(*volume);
}

// Whether host data give the boot disk to somebody else. A disk that cannot be read is nobody's.
bool claimed_by_others(const store::Registry& registry, const zone::Config& config) {
    const auto check = [&]() -> Result<void> {
        KZ_TRY(const zone::Device device, store::BootDisk::device_of(config));
        KZ_TRY(const storage::Suri suri, storage::Suri::parse(device.storage));
        KZ_TRY(const storage::StorageAccess access, store::storage_access(registry.paths()));
        KZ_TRY(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access));
        return check_unclaimed(registry, config.name(), *volume);
    };
    const Result<void> checked = check();
    return !checked && checked.error().code() == Errc::unavailable;
}

}  // namespace

Result<void> Client::install(const std::string& zone, const InstallOptions& options,
                             const Reporter& reporter) {
    KZ_TRY(LockedZone locked, LockedZone::take(registry_, zone));
    if (locked.status().state != zone::State::configured) return locked.wrong_state("install");
    KZ_CHECK(verify(zone, {}));
    KZ_TRY(const zone::Config config, registry_.load_config(zone));
    KZ_TRY(const Origin origin, read_origin(options, config));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(paths()));
    KZ_TRY(const std::vector<storage::Suri> created,
           create_missing_volumes(config, new_disk_size(options, origin), access));
    const auto begun = steady_clock::now();
    std::optional<InstallLog> log;
    const auto work = [&]() -> Result<void> {
        KZ_CHECK(check_overwrite(registry_, config, options));
        KZ_TRY(log, InstallLog::create(paths(), zone, "install", reporter));
        KZ_CHECK(locked.put_state(zone::State::incomplete));
        KZ_CHECK(registry_.ensure_keysource(zone));
        KZ_TRY(const std::string uuid, locked.ensure_uuid());
        KZ_CHECK(make_directories(paths().zone_dir(zone), 0700));
        remove_remains(paths().zone_dir(zone));
        if (!options.archive.empty()) log->say(fmt::format("     Archive: {}", options.archive));
        if (!options.profile.empty()) log->say(fmt::format("  SC Profile: {}", options.profile));
        log->say("Installation: Starting ...");
        KZ_CHECK(build_disk({registry_, config, *log, reporter, may_hold_data(options)}, origin, uuid));
        KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry_, config));
        KZ_CHECK(disk.initialize(uuid, "installed"));
        KZ_CHECK(locked.put_state(zone::State::installed));
        log->say("Installation: Succeeded");
        log->say(fmt::format("        Done: Installation completed in {:.3f} seconds.",
                             std::chrono::duration<double>(steady_clock::now() - begun).count()));
        return {};
    };
    Result<void> installed = work();
    if (installed) return {};
    if (log) log->note(fmt::format("ERROR: {}", installed.error().message()));
    destroy_volumes(created, access);
    KZ_CHECK(locked.put_state(zone::State::configured));
    return std::unexpected(std::move(installed).error().context(
        "ERROR: installation failed: zone switching to configured state"));
}

Result<void> Client::uninstall(const std::string& zone, bool destroy_all, const Reporter& reporter) {
    KZ_TRY(LockedZone locked, LockedZone::take(registry_, zone));
    const zone::State state = locked.status().state;
    if (state != zone::State::installed && state != zone::State::incomplete &&
        state != zone::State::unavailable)
        return locked.wrong_state("uninstall");
    KZ_TRY(const zone::Config config, registry_.load_config(zone));
    const Result<storage::HostData> owned = check_ownership(registry_, config, locked.status().uuid);
    // A disk that is not (or no longer) ours is left alone; the zone is taken off this host all the same.
    const bool ours =
        owned.has_value() || (state == zone::State::incomplete && !claimed_by_others(registry_, config));
    if (!ours && state == zone::State::installed) return std::unexpected(owned.error());
    if (owned && owned->suspend) monitor::discard_image(paths(), *owned->suspend);
    KZ_CHECK(locked.put_state(zone::State::incomplete));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(paths()));
    bool boot_disk = true;
    for (const zone::Device& device : config.devices()) {
        if (ours)
            KZ_CHECK_CONTEXT(erase_or_destroy(config, device, boot_disk, destroy_all, access),
                             fmt::format("device {}", device.id));
        boot_disk = false;
    }
    if (!ours) reporter.say("the zone's disk is not owned by this host and was left as it is.");
    remove_remains(paths().zone_dir(zone));
    KZ_CHECK(locked.put_uuid({}));
    return locked.put_state(zone::State::configured);
}

}  // namespace kz::client
