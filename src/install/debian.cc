#include "install/debian.h"

#include <fmt/ranges.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "install/base_cache.h"
#include "install/debian_base.h"
#include "install/debian_identity.h"
#include "install/grub.h"
#include "install/host_profile.h"
#include "install/root_disk.h"
#include "install/temp_folder.h"
#include "os/file.h"
#include "os/uuid.h"

namespace kz::install {
namespace {

std::string base_key(const Manifest& manifest, const AptSources& sources) {
    const std::string text = fmt::format("kzones base 1\n{}\n{}\n{}\n{}", sources.release,
                                         sources.state_digest, fmt::join(sources.lines, "\n"), manifest.text);
    return to_hex(crypto::sha256(as_bytes(text)));
}

Result<void> unpack_base(const InstallRequest& request, const Activity& activity, const Path& tree) {
    KZ_TRY(const AptSources sources, find_apt_sources(request.manifest, activity));
    BaseRequest base;
    base.name = request.manifest.name;
    base.key = base_key(request.manifest, sources);
    base.newest_time = sources.newest;
    base.make = [&](const Path& into, const Path& work) {
        return make_debian_base(request.manifest, sources, activity, into, work);
    };
    KZ_TRY(BaseCache cache, BaseCache::open(request.cache_dir, activity));
    return cache.unpack(base, tree);
}

// "6.1.0-56-cloud-amd64"
Result<std::string> kernel_release(const Path& tree) {
    constexpr std::string_view kPrefix = "vmlinuz-";
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(tree / "vmlinuz", error).filename();
    if (error || !target.starts_with(kPrefix) || !std::filesystem::exists(tree / "boot" / target))
        return fail(Errc::not_found, "none of the manifest's packages brings a kernel");
    return target.substr(kPrefix.size());
}

}  // namespace

Result<InstallReport> install_debian(const InstallRequest& request) {
    KZ_CHECK(check_request(request));
    KZ_CHECK(check_profile_here(request.profile));
    KZ_CHECK(check_root_disk(request.disk, request.usable_bytes));
    const Activity activity = request.activity();
    KZ_TRY(const TempFolder work, TempFolder::create(request.work_dir, "install-"));
    const Path tree = work.path() / "root";
    KZ_CHECK(make_directories(tree, 0755));
    KZ_CHECK(unpack_base(request, activity, tree));
    InstallReport report;
    KZ_TRY(report.kernel_release, kernel_release(tree));
    KZ_TRY(report.root_uuid, random_uuid());
    activity.say("Configuring the zone: Linux {}", report.kernel_release);
    const RootFiles root{
        report.root_uuid,
        make_grub_config(report.root_uuid, request.manifest.kernel_arguments, "/vmlinuz", "/initrd.img")};
    KZ_CHECK(apply_identity(request, root, activity, tree, work.path()));
    KZ_CHECK(
        write_root_disk({request.disk, request.usable_bytes, tree, report.root_uuid}, work.path(), activity));
    return report;
}

}  // namespace kz::install
