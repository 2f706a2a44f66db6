#include "client/new_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "install/host_profile.h"
#include "install/mini_profile.h"
#include "install/temp_folder.h"
#include "monitor/network.h"
#include "os/file.h"
#include "storage/host_data.h"
#include "storage/volume.h"
#include "storage/volume_copy.h"
#include "store/boot_disk.h"

namespace kz::client {
namespace {

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

Result<void> fill_file_and_send(const NewDisk& what, const storage::Suri& suri, storage::Volume& volume,
                                install::InstallRequest& request,
                                const std::function<Result<void>(install::InstallRequest&)>& fill) {
    KZ_TRY(const install::TempFolder folder, install::TempFolder::create(request.work_dir, "disk-"));
    request.disk = folder.path() / "disk";
    {
        KZ_TRY(const UniqueFd file, open_file(request.disk, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (::ftruncate(file.get(), static_cast<off_t>(request.usable_bytes)) < 0)
            return fail_errno(errno, request.disk.string());
    }
    KZ_CHECK(fill(request));
    what.log.say(fmt::format("        Sending the disk to {}", suri.render()));
    const storage::Holes holes = what.used_before ? storage::Holes::clear : storage::Holes::skip;
    return storage::copy_file_to_volume(request.disk, volume, request.usable_bytes, holes, {},
                                        what.reporter.cancel_fd);
}

}  // namespace

install::InstallRequest base_request(const NewDisk& what) {
    const HostPaths& paths = what.registry.paths();
    InstallLog* log = &what.log;
    install::InstallRequest request;
    request.zone_name = what.config.name();
    request.cache_dir = paths.cache_dir();
    request.work_dir = paths.zone_dir(what.config.name());
    request.network = static_addresses(what.config);
    request.progress = [log](std::string_view text) { log->say(fmt::format("        {}", text)); };
    request.detail = [log](std::string_view text) { log->note(fmt::format("            {}", text)); };
    request.cancel_fd = what.reporter.cancel_fd;
    return request;
}

Result<void> fill_new_disk(const NewDisk& what, bool direct,
                           const std::function<Result<void>(install::InstallRequest&)>& fill) {
    KZ_TRY(const zone::Device device, store::BootDisk::device_of(what.config));
    KZ_TRY(const storage::Suri suri, storage::Suri::parse(device.storage));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(what.registry.paths()));
    KZ_TRY(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access));
    install::InstallRequest request = base_request(what);
    KZ_TRY(request.usable_bytes, storage::guest_bytes(volume->size_bytes()));
    if (suri.local_path().empty() || !direct) return fill_file_and_send(what, suri, *volume, request, fill);
    request.disk = suri.local_path();
    return fill(request);
}

std::vector<std::string> hardware_addresses(const zone::Config& config) {
    std::vector<std::string> addresses;
    for (const zone::Anet& anet : config.anets())
        addresses.push_back(monitor::mac_of(config, anet));
    return addresses;
}

void remove_remains(const Path& zone_dir) {
    std::vector<Path> remains;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(zone_dir, ignored)) {
        const std::string name = entry.path().filename();
        if (name.starts_with("disk-") || name.starts_with("mini-") || name.starts_with("install-"))
            remains.push_back(entry.path());
    }
    for (const Path& path : remains)
        std::filesystem::remove_all(path, ignored);
}

Result<install::Profile> read_zone_profile(const std::string& path, const zone::Config& config,
                                           ProfileUse use) {
    install::InstallRequest request;
    if (!path.empty()) {
        KZ_TRY(request.profile, install::load_profile(path));
        KZ_CHECK_CONTEXT(install::check_profile_here(request.profile), path);
    }
    for (const install::ProfileInterface& one : request.profile.interfaces) {
        if (const auto index = parse_u64(one.name.substr(3)); !index || *index >= config.anets().size())
            return fail(Errc::invalid_argument, "{}: the zone has no {}: it has {} anet resources", path,
                        one.name, config.anets().size());
    }
    if (use == ProfileUse::clone) return request.profile;
    const std::string asked_locale = request.profile.locale;
    request.profile = install::with_host_defaults(std::move(request.profile));
    if (use == ProfileUse::debian) return request.profile;
    // The mini system speaks one language; that is worth a word only to who asked for another.
    request.profile.locale = asked_locale;
    if (use == ProfileUse::mini) KZ_CHECK_CONTEXT(install::plan_identity(request), path);
    return request.profile;
}

}  // namespace kz::client
