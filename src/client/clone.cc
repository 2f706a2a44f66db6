// clone: a new zone from one that is not running.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "client/client.h"
#include "client/locked_zone.h"
#include "client/new_disk.h"
#include "client/storage.h"
#include "install/reidentify.h"
#include "install/temp_folder.h"
#include "os/file.h"
#include "storage/volume.h"
#include "storage/volume_copy.h"
#include "store/boot_disk.h"

namespace kz::client {
namespace {

using std::chrono::steady_clock;
using VolumePointer = std::unique_ptr<storage::Volume>;

Result<void> check_source(const store::Registry& registry, const LockedZone& source, const std::string& name,
                          const zone::Config& config) {
    if (source.status().state != zone::State::installed)
        return fail(Errc::wrong_state,
                    "the source zone '{}' is {}: clone operation is valid for installed zones only.", name,
                    zone::state_name(source.status().state));
    KZ_TRY(const storage::HostData data, check_ownership(registry, config, source.status().uuid));
    if (data.suspend)
        return fail(Errc::wrong_state, "the source zone '{}' is suspended: boot it and shut it down first.",
                    name);
    return {};
}

// Each disk of the source, and the one of the new zone that becomes its copy.
struct DiskPair {
    zone::Device from;
    zone::Device to;
    bool boot = false;
};

Result<std::vector<DiskPair>> pair_disks(const zone::Config& source, const zone::Config& config) {
    KZ_TRY(const zone::Device from_boot, store::BootDisk::device_of(source));
    KZ_TRY(const zone::Device to_boot, store::BootDisk::device_of(config));
    std::vector<DiskPair> pairs = {{from_boot, to_boot, true}};
    const std::vector<zone::Device> devices = config.devices();
    for (const zone::Device& from : source.devices()) {
        if (from.id == from_boot.id) continue;
        const auto to = std::ranges::find(devices, from.id, &zone::Device::id);
        if (to == devices.end() || to->id == to_boot.id)
            return fail(Errc::invalid_argument,
                        "the source zone has a device {}; give the zone one of this id for its copy",
                        from.id);
        pairs.push_back({from, *to, false});
    }
    for (const DiskPair& pair : pairs) {
        if (pair.from.storage == pair.to.storage)
            return fail(Errc::invalid_argument, "device {}: both zones have the same disk", pair.to.id);
    }
    return pairs;
}

Result<std::uint64_t> largest(const std::vector<DiskPair>& pairs, const storage::StorageAccess& access) {
    std::uint64_t bytes = 0;
    for (const DiskPair& pair : pairs) {
        KZ_TRY(const VolumePointer volume, open_device(pair.from, access));
        bytes = std::max(bytes, volume->size_bytes());
    }
    return bytes;
}

Result<void> copy_boot_disk(const NewDisk& what, const DiskPair& pair, const install::Profile& profile,
                            const std::string& uuid, const storage::StorageAccess& access) {
    KZ_TRY(const VolumePointer source, open_device(pair.from, access));
    KZ_TRY(const std::uint64_t bytes, storage::guest_bytes(source->size_bytes()));
    return fill_new_disk(what, false, [&](install::InstallRequest& request) -> Result<void> {
        if (request.usable_bytes < bytes)
            return fail(Errc::no_space, "the source's disk has {} bytes for the zone, the new one {}", bytes,
                        request.usable_bytes);
        what.log.say(fmt::format("        Copying device {}", pair.from.id));
        KZ_CHECK(storage::copy_volume_to_file(*source, bytes, request.disk, what.reporter.cancel_fd));
        std::error_code error;
        std::filesystem::resize_file(request.disk, request.usable_bytes, error);
        if (error) return fail_errno(error.value(), request.disk.string());
        what.log.say("        Making it another zone: host name, host keys, machine id, network");
        request.profile = profile;
        return install::reidentify(request, uuid, hardware_addresses(what.config));
    });
}

Result<void> copy_data_disk(const NewDisk& what, const DiskPair& pair, const storage::StorageAccess& access) {
    KZ_TRY(const VolumePointer source, open_device(pair.from, access));
    KZ_TRY(const VolumePointer target, open_device(pair.to, access));
    if (target->size_bytes() < source->size_bytes())
        return fail(Errc::no_space, "device {}: the source's disk has {} bytes, the new one {}", pair.to.id,
                    source->size_bytes(), target->size_bytes());
    what.log.say(fmt::format("        Copying device {}", pair.from.id));
    KZ_TRY(const install::TempFolder folder,
           install::TempFolder::create(what.registry.paths().zone_dir(what.config.name()), "disk-"));
    const Path file = folder.path() / "disk";
    KZ_CHECK(open_file(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    KZ_CHECK(storage::copy_volume_to_file(*source, source->size_bytes(), file, what.reporter.cancel_fd));
    return storage::copy_file_to_volume(file, *target, target->size_bytes(),
                                        what.used_before ? storage::Holes::clear : storage::Holes::skip, {},
                                        what.reporter.cancel_fd);
}

InstallOptions overwriting(const CloneOptions& options) {
    InstallOptions as_install;
    as_install.force_overwrite = options.force_overwrite;
    as_install.force_overwrite_ids = options.force_overwrite_ids;
    return as_install;
}

}  // namespace

Result<void> Client::clone(const std::string& zone, const CloneOptions& options, const Reporter& reporter) {
    if (options.source == zone) return fail(Errc::invalid_argument, "a zone cannot be cloned from itself");
    if (!registry_.exists(options.source))
        return fail(Errc::not_found, "{}: No such zone configured", options.source);
    KZ_TRY(LockedZone locked, LockedZone::take(registry_, zone));
    if (locked.status().state != zone::State::configured) return locked.wrong_state("clone");
    KZ_TRY(const LockedZone source, LockedZone::take(registry_, options.source));
    KZ_TRY(const zone::Config source_config, registry_.load_config(options.source));
    KZ_CHECK(check_source(registry_, source, options.source, source_config));
    KZ_CHECK(verify(zone, {}));
    KZ_TRY(const zone::Config config, registry_.load_config(zone));
    install::Profile profile;
    if (!options.profile.empty()) {
        KZ_TRY(profile, read_zone_profile(options.profile, config, ProfileUse::clone));
    }
    KZ_TRY(const std::vector<DiskPair> pairs, pair_disks(source_config, config));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(paths()));
    KZ_TRY(const std::uint64_t size, largest(pairs, access));
    KZ_TRY(const std::vector<storage::Suri> created,
           create_missing_volumes(config, options.install_size.value_or(size), access));
    const auto begun = steady_clock::now();
    std::optional<InstallLog> log;
    const auto work = [&]() -> Result<void> {
        KZ_CHECK(check_overwrite(registry_, config, overwriting(options)));
        KZ_TRY(log, InstallLog::create(paths(), zone, "clone", reporter));
        KZ_CHECK(locked.put_state(zone::State::incomplete));
        KZ_CHECK(registry_.ensure_keysource(zone));
        KZ_TRY(const std::string uuid, locked.ensure_uuid());
        KZ_CHECK(make_directories(paths().zone_dir(zone), 0700));
        remove_remains(paths().zone_dir(zone));
        log->say(fmt::format("Cloning zone {}: Starting ...", options.source));
        const NewDisk what{registry_, config, *log, reporter,
                           options.force_overwrite || !options.force_overwrite_ids.empty()};
        for (const DiskPair& pair : pairs)
            KZ_CHECK(pair.boot ? copy_boot_disk(what, pair, profile, uuid, access)
                               : copy_data_disk(what, pair, access));
        KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry_, config));
        KZ_CHECK(disk.initialize(uuid, "installed"));
        KZ_CHECK(locked.put_state(zone::State::installed));
        log->say("Cloning: Succeeded");
        log->say(fmt::format("        Done: Clone completed in {:.3f} seconds.",
                             std::chrono::duration<double>(steady_clock::now() - begun).count()));
        return {};
    };
    Result<void> cloned = work();
    if (cloned) return {};
    if (log) log->note(fmt::format("ERROR: {}", cloned.error().message()));
    destroy_volumes(created, access);
    KZ_CHECK(locked.put_state(zone::State::configured));
    return std::unexpected(
        std::move(cloned).error().context("ERROR: clone failed: zone switching to configured state"));
}

}  // namespace kz::client
