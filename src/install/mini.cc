#include "install/mini.h"

#include "base/text.h"
#include "install/mini_profile.h"
#include "install/mini_tree.h"
#include "install/root_disk.h"
#include "install/temp_folder.h"
#include "os/file.h"
#include "os/uuid.h"

namespace kz::install {
namespace {

constexpr unsigned kJournalMebibytes = 8;

Result<void> fill_disk(const InstallRequest& request, const MiniParts& parts, const MiniIdentity& identity,
                       const std::string& uuid, const Activity& activity) {
    KZ_TRY(const TempFolder work, TempFolder::create(request.work_dir, "mini-"));
    const Path tree = work.path() / "root";
    KZ_CHECK(make_directories(tree, 0755));
    KZ_CHECK(build_root_tree(parts, request, identity, uuid, activity, tree));
    return write_root_disk({request.disk, request.usable_bytes, tree, uuid, kJournalMebibytes}, work.path(),
                           activity);
}

}  // namespace

Result<InstallReport> install_mini(const InstallRequest& request) {
    KZ_CHECK(check_request(request));
    KZ_TRY(const MiniIdentity identity, plan_identity(request));
    KZ_CHECK(check_root_disk(request.disk, request.usable_bytes));
    const Activity activity = request.activity();
    if (!identity.left_out.empty())
        activity.say("A mini zone does not have what the profile asks for: {}",
                     join(identity.left_out, ", "));
    KZ_TRY(PackageCache cache, PackageCache::open(request.cache_dir, activity));
    KZ_TRY(const PackageSet set, cache.fetch(request.manifest.name, request.manifest.packages));
    KZ_TRY(const MiniParts parts, find_mini_parts(set, request.manifest));
    activity.say("Building the root file system: Linux {}, busybox", parts.release);
    KZ_TRY(std::string root_uuid, random_uuid());
    InstallReport report{parts.release, {}, set.offline, std::move(root_uuid)};
    for (const UnpackedPackage& package : set.packages) {
        report.packages.push_back(fmt::format("{} {}", package.name, package.version));
    }
    KZ_CHECK(fill_disk(request, parts, identity, report.root_uuid, activity));
    return report;
}

}  // namespace kz::install
