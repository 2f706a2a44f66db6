#include "install/reidentify.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "crypto/self_signed.h"
#include "install/debian_identity.h"
#include "install/gpt.h"
#include "install/mini_profile.h"
#include "install/mini_tree.h"
#include "install/partition_edit.h"
#include "install/root_file_system.h"
#include "install/seed.h"
#include "install/temp_folder.h"
#include "install/tools.h"
#include "install/tree_builder.h"
#include "os/file.h"
#include "os/io.h"

namespace kz::install {
namespace {

constexpr std::string_view kRootName = "root";

const Partition* find_partition(const std::vector<Partition>& partitions, std::string_view name) {
    const auto found = std::ranges::find(partitions, name, &Partition::name);
    return found == partitions.end() ? nullptr : &*found;
}

// What is new, as files and links below a folder of the host, and what becomes of them in the clone.
struct Staged {
    TreeBuilder files;
    std::vector<std::string> requests{};  // of debugfs, when they are there
};

// Of the package ssl-cert: another zone's key is as bad as another's host key.
constexpr std::string_view kServerKey = "etc/ssl/private/ssl-cert-snakeoil.key";
constexpr std::string_view kServerCertificate = "etc/ssl/certs/ssl-cert-snakeoil.pem";

Result<void> stage_server_key(const std::string& name, std::string_view groups, Staged& staged) {
    constexpr std::size_t kMostCommon = 64;
    const std::string common = name.size() > kMostCommon ? name.substr(0, name.find('.')) : name;
    KZ_TRY(const crypto::SelfSigned made,
           crypto::make_self_signed({.kind = crypto::KeyKind::rsa, .common_name = common, .dns_name = name}));
    staged.files.file(kServerCertificate, 0644, made.cert_pem);
    staged.files.file(kServerKey, 0640, as_text(made.key_pem.view()));
    for (const std::string& line : split(groups, '\n')) {
        const std::vector<std::string> fields = split(line, ':');
        if (fields.size() > 2 && fields[0] == "ssl-cert" && parse_u64(fields[2]))
            staged.requests.push_back(fmt::format("sif /{} gid {}", kServerKey, fields[2]));
    }
    return {};
}

Result<void> stage_locale(const std::string& wanted, const RootFileSystem& root, const Path& work,
                          const Activity& activity, Staged& staged) {
    if (wanted.empty()) return {};
    KZ_TRY(const std::string made, root.run({"cat /etc/locale.gen"}, work, false));
    const bool always_there = needs_no_definition(wanted);
    const std::string line = find_locale(made, wanted);
    if (line.empty() && !always_there) {
        activity.say("The source does not have the locale {}; the clone keeps the source's", wanted);
        return {};
    }
    staged.files.file("etc/default/locale", 0644,
                      locale_file(always_there ? wanted : line.substr(0, line.find(' '))));
    return {};
}

Result<void> stage_debian(const InstallRequest& request, const RootFileSystem& root, const Path& work,
                          const Path& folder, const Activity& activity, Staged& staged) {
    KZ_TRY(const bool has_resolved, root.has("/usr/lib/systemd/systemd-resolved", work));
    add_place(request, has_resolved, staged.files);
    KZ_CHECK(stage_locale(request.profile.locale, root, work, activity, staged));
    staged.files.file("etc/machine-id", 0444, "");
    staged.files.directory("etc/ssh", 0755);
    KZ_TRY(const std::string keygen, find_tool("ssh-keygen"));
    KZ_CHECK(activity.run({keygen, "-q", "-A", "-f", folder}));
    KZ_TRY(const bool has_server_key, root.has(fmt::format("/{}", kServerKey), work));
    if (!has_server_key) return {};
    KZ_TRY(const std::string groups, root.run({"cat /etc/group"}, work, false));
    return stage_server_key(request.host_name(), groups, staged);
}

Result<void> stage_mini(const InstallRequest& request, const Activity& activity, Staged& staged) {
    KZ_TRY(const MiniIdentity identity, plan_identity(request));
    if (!identity.left_out.empty())
        activity.say("A mini zone does not have what the profile asks for: {}",
                     join(identity.left_out, ", "));
    add_identity(staged.files, identity);
    return {};
}

// Puts everything below `folder` into the clone, in the place of what is there.
Result<std::vector<std::string>> exchanges(const Path& folder, const RootFileSystem& root, const Path& work) {
    std::vector<std::string> requests;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        const Path path = entry.path().lexically_relative(folder);
        const std::string name = path.filename();
        if (entry.is_directory()) {
            // debugfs would make a second one beside it.
            KZ_TRY(const bool there, root.has("/" + path.string(), work));
            if (!there) requests.push_back(fmt::format("mkdir /{}", path.string()));
            continue;
        }
        requests.push_back(fmt::format("rm /{}", path.string()));
        requests.push_back(fmt::format("cd /{}", path.parent_path().string()));
        requests.push_back(
            entry.is_symlink()
                ? fmt::format("symlink {} {}", name, std::filesystem::read_symlink(entry.path()).string())
                : fmt::format("write files/{} {}", path.string(), name));
    }
    return requests;
}

Result<void> check_profile(const Profile& profile) {
    if (!profile.users.empty())
        return fail(Errc::unsupported,
                    "a clone has the accounts of its source; its profile can say all but users");
    return {};
}

// ssh-keygen appends "root@HOST" to what it makes.
std::vector<std::string> removals(const RootFileSystem& root, const Path& folder, bool debian) {
    std::vector<std::string> requests;
    if (!debian) return requests;
    if (const Result<std::string> listing =
            root.run({"ls -p /etc/ssh", "ls -p /etc/systemd/network"}, folder, false)) {
        for (const std::string& line : split(*listing, '\n')) {
            const std::vector<std::string> fields = split(line, '/');
            if (fields.size() < 6) continue;
            if (fields[5].starts_with("ssh_host_")) requests.push_back("rm /etc/ssh/" + fields[5]);
            if (fields[5].starts_with("10-eth")) requests.push_back("rm /etc/systemd/network/" + fields[5]);
        }
    }
    requests.emplace_back("rm /var/lib/systemd/random-seed");
    return requests;
}

Result<void> exchange_files(const InstallRequest& request, const Partition& place, const Activity& activity) {
    KZ_CHECK(check_profile(request.profile));
    KZ_TRY(const TempFolder work, TempFolder::create(request.work_dir, "install-"));
    const RootFileSystem root(request.disk, place, activity);
    KZ_CHECK(root.check(work.path()));
    KZ_TRY(const bool mini, root.has("/etc/kz/network", work.path()));
    KZ_TRY(const bool debian, root.has("/etc/systemd/network/90-kzones.network", work.path()));
    if (!mini && !debian)
        return fail(Errc::unsupported,
                    "the source was not installed by kzones: what tells two zones apart is not known");
    const Path folder = work.path() / "files";
    Staged staged{TreeBuilder(folder)};
    staged.files.directory("", 0755);
    KZ_CHECK(mini ? stage_mini(request, activity, staged)
                  : stage_debian(request, root, work.path(), folder, activity, staged));
    KZ_CHECK(std::move(staged.files).outcome());
    std::vector<std::string> requests = removals(root, work.path(), debian);
    KZ_TRY(std::vector<std::string> exchanged, exchanges(folder, root, work.path()));
    std::ranges::move(exchanged, std::back_inserter(requests));
    std::ranges::move(staged.requests, std::back_inserter(requests));
    KZ_CHECK(root.run(requests, work.path(), true));
    // debugfs says of no request whether it was done.
    KZ_TRY(const std::string written, root.run({"cat /etc/hostname"}, work.path(), false));
    if (written.find(request.host_name() + "\n") == std::string::npos)
        return fail(Errc::io, "the clone's files could not be written");
    return root.check(work.path());
}

Result<void> exchange_seed(const InstallRequest& request, const Partition& place, Seed seed) {
    Bytes old((place.last + 1 - place.first) * kSectorSize);
    KZ_TRY(const UniqueFd disk, open_file(request.disk, O_RDWR | O_CLOEXEC));
    const auto offset = static_cast<std::int64_t>(place.first * kSectorSize);
    if (::pread(disk.get(), old.data(), old.size(), offset) != static_cast<ssize_t>(old.size()))
        return fail(Errc::corrupt, "the disk ends within the seed of cloud-init");
    if (seed_has_agent(old)) {
        KZ_TRY(seed.agent, load_seed_agent(request.share_dir, request.activity()));
    }
    KZ_TRY(Bytes image, make_seed_image(seed));
    if (image.size() > old.size()) return fail(Errc::no_space, "the seed of cloud-init is too large");
    image.resize(old.size());
    KZ_CHECK_CONTEXT(write_at(disk.get(), image, place.first * kSectorSize), "writing the disk");
    return {};
}

}  // namespace

Result<void> reidentify(const InstallRequest& request, const std::string& instance_id,
                        const std::vector<std::string>& hardware_addresses) {
    const Activity activity = request.activity();
    std::vector<Partition> partitions;
    {
        KZ_TRY(const UniqueFd disk, open_file(request.disk, O_RDWR | O_CLOEXEC));
        KZ_CHECK(grow_table(disk.get(), request.usable_bytes));
        KZ_TRY(partitions, read_partitions(disk.get()));
    }
    if (const Partition* seed = find_partition(partitions, kSeedLabel)) {
        constexpr std::uint64_t kMaxSeedRoom = 16 * kMebibyte;
        if (seed->last < seed->first || (seed->last - seed->first) * kSectorSize > kMaxSeedRoom)
            return fail(Errc::unsupported, "the partition '{}' is not one that kzones made", kSeedLabel);
        return exchange_seed(request, *seed, plan_seed(request, instance_id, hardware_addresses, true));
    }
    if (const Partition* root = find_partition(partitions, kRootName))
        return exchange_files(request, *root, activity);
    return fail(Errc::unsupported,
                "the source was not installed by kzones: what tells two zones apart is not known");
}

}  // namespace kz::install
