// install and uninstall.
#include <fcntl.h>
#include <fmt/chrono.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "client/client.h"
#include "client/locked_zone.h"
#include "client/storage.h"
#include "install/manifest.h"
#include "install/mini.h"
#include "install/mini_profile.h"
#include "install/temp_folder.h"
#include "monitor/suspend.h"
#include "os/file.h"
#include "os/io.h"
#include "storage/volume.h"
#include "storage/volume_copy.h"
#include "store/boot_disk.h"

namespace kz::client {
namespace {

using std::chrono::steady_clock;

// What is said goes to the user and into the log of the installation.
class InstallLog {
  public:
    static Result<InstallLog> create(const HostPaths& paths, const std::string& zone,
                                     const Reporter& reporter) {
        KZ_CHECK(make_directories(paths.log_dir(), 0755));
        const std::string stamp =
            fmt::format("{:%Y%m%dT%H%M%SZ}",
                        fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
        const Path file = paths.log_dir() / fmt::format("zoneadm.{}.{}.install", stamp, zone);
        KZ_TRY(UniqueFd fd, open_file(file, O_WRONLY | O_CREAT | O_APPEND, 0644));
        reporter.say(fmt::format("Progress being logged to {}", file.string()));
        return InstallLog(std::move(fd), reporter);
    }
    void say(const std::string& text) {
        reporter_->say(text);
        [[maybe_unused]] const Result<void> written =
            write_all(fd_.get(), as_bytes(text + "\n"), Deadline::never());
    }

  private:
    InstallLog(UniqueFd fd, const Reporter& reporter) : fd_(std::move(fd)), reporter_(&reporter) {}
    UniqueFd fd_;
    const Reporter* reporter_;
};

// Takes the first router of the address's family out of the list: there is one default route of each.
std::string take_router(std::string_view address, std::vector<std::string>& routers) {
    const auto is_ipv6 = [](std::string_view text) { return text.find(':') != text.npos; };
    const auto found = std::ranges::find_if(
        routers, [&](const std::string& router) { return is_ipv6(router) == is_ipv6(address); });
    if (found == routers.end()) return {};
    std::string router = std::move(*found);
    routers.erase(found);
    return router;
}

std::vector<install::StaticAddress> static_addresses(const zone::Config& config) {
    std::vector<install::StaticAddress> addresses;
    unsigned index = 0;
    for (const zone::Anet& anet : config.anets()) {
        if (!anet.allowed_address.empty() && anet.configure_allowed_address) {
            std::vector<std::string> routers =
                anet.defrouter.empty() ? std::vector<std::string>() : split(anet.defrouter, ',');
            for (const std::string& address : split(anet.allowed_address, ','))
                addresses.push_back({fmt::format("eth{}", index), address, take_router(address, routers)});
        }
        ++index;
    }
    return addresses;
}

// Everything that would make the installer refuse a profile is found here, before anything has changed.
Result<install::Profile> read_profile(const InstallOptions& options, const zone::Config& config) {
    install::InstallRequest request;
    if (options.profile.empty()) return request.profile;
    KZ_TRY(request.profile, install::load_profile(options.profile));
    KZ_CHECK_CONTEXT(install::plan_identity(request), options.profile);
    for (const install::ProfileInterface& one : request.profile.interfaces) {
        if (const auto index = parse_u64(one.name.substr(3)); !index || *index >= config.anets().size())
            return fail(Errc::invalid_argument, "{}: the zone has no {}: it has {} anet resources",
                        options.profile, one.name, config.anets().size());
    }
    return request.profile;
}

Result<void> build_disk(const store::Registry& registry, const zone::Config& config,
                        const install::Manifest& manifest, const install::Profile& profile, InstallLog& log,
                        const Reporter& reporter) {
    KZ_TRY(const zone::Device device, store::BootDisk::device_of(config));
    KZ_TRY(const storage::Suri suri, storage::Suri::parse(device.storage));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(registry.paths()));
    KZ_TRY(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access));
    install::InstallRequest request;
    KZ_TRY(request.usable_bytes, storage::guest_bytes(volume->size_bytes()));
    request.zone_name = config.name();
    request.manifest = manifest;
    request.profile = profile;
    request.cache_dir = registry.paths().cache_dir();
    request.work_dir = registry.paths().zone_dir(config.name());
    request.network = static_addresses(config);
    request.progress = [&log](std::string_view text) { log.say(fmt::format("        {}", text)); };
    request.cancel_fd = reporter.cancel_fd;
    if (!suri.local_path().empty()) {
        request.disk = suri.local_path();
        KZ_CHECK(install::install_mini(request));
        return {};
    }
    // Tools of this host cannot open it: the disk is made as a sparse file and then sent.
    KZ_TRY(const install::TempFolder folder, install::TempFolder::create(request.work_dir, "disk-"));
    request.disk = folder.path() / "disk";
    KZ_TRY(const UniqueFd file, open_file(request.disk, O_RDWR | O_CREAT | O_EXCL, 0600));
    if (::ftruncate(file.get(), static_cast<off_t>(request.usable_bytes)) < 0)
        return fail_errno(errno, request.disk.string());
    KZ_CHECK(install::install_mini(request));
    log.say(fmt::format("        Sending the disk to {}", suri.render()));
    return storage::copy_file_to_volume(request.disk, *volume, request.usable_bytes, {}, reporter.cancel_fd);
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
    KZ_TRY(const install::Manifest manifest, install::load_manifest(options.manifest, HostPaths::share()));
    KZ_CHECK(check_one_boot_disk(config, options.manifest));
    KZ_TRY(const install::Profile profile, read_profile(options, config));
    constexpr std::uint64_t kDefaultSize = 16ULL << 30;
    KZ_TRY(const storage::StorageAccess access, store::storage_access(paths()));
    KZ_TRY(const std::vector<storage::Suri> created,
           create_missing_volumes(config, options.install_size.value_or(kDefaultSize), access));
    const auto begun = steady_clock::now();
    const auto work = [&]() -> Result<void> {
        KZ_CHECK(check_overwrite(registry_, config, options));
        KZ_TRY(InstallLog log, InstallLog::create(paths(), zone, reporter));
        KZ_CHECK(locked.put_state(zone::State::incomplete));
        KZ_CHECK(registry_.ensure_keysource(zone));
        KZ_TRY(const std::string uuid, locked.ensure_uuid());
        KZ_CHECK(make_directories(paths().zone_dir(zone), 0700));
        if (!options.profile.empty()) log.say(fmt::format("  SC Profile: {}", options.profile));
        log.say("Installation: Starting ...");
        KZ_CHECK(build_disk(registry_, config, manifest, profile, log, reporter));
        KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry_, config));
        KZ_CHECK(disk.initialize(uuid, "installed"));
        KZ_CHECK(locked.put_state(zone::State::installed));
        log.say("Installation: Succeeded");
        log.say(fmt::format("        Done: Installation completed in {:.3f} seconds.",
                            std::chrono::duration<double>(steady_clock::now() - begun).count()));
        return {};
    };
    Result<void> installed = work();
    if (installed) return {};
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
    KZ_CHECK(locked.put_uuid({}));
    return locked.put_state(zone::State::configured);
}

}  // namespace kz::client
