#include "install/reidentify.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "install/debian_identity.h"
#include "install/gpt.h"
#include "install/mini_profile.h"
#include "install/partition_edit.h"
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

struct Range {
    std::uint64_t offset;
    std::uint64_t size;
};

// The data of `from` within the range goes to the same range of `to`, moved by `shift`; holes stay holes.
Result<void> copy_data(int from, const Range& range, int to, std::int64_t shift, const Activity& activity) {
    Bytes buffer(kMebibyte);
    const std::uint64_t end = range.offset + range.size;
    for (std::uint64_t at = range.offset; at < end;) {
        KZ_CHECK(activity.check());
        const off_t data = ::lseek(from, static_cast<off_t>(at), SEEK_DATA);
        if (data < 0 && errno == ENXIO) return {};
        if (data < 0) return fail_errno(errno, "reading the disk");
        at = std::max(at, static_cast<std::uint64_t>(data));
        if (at >= end) return {};
        const ssize_t got = ::pread(from, buffer.data(), std::min<std::uint64_t>(buffer.size(), end - at),
                                    static_cast<off_t>(at));
        if (got <= 0) return fail_errno(got < 0 ? errno : EIO, "reading the disk");
        const auto place = static_cast<std::uint64_t>(static_cast<std::int64_t>(at) + shift);
        KZ_CHECK_CONTEXT(write_at(to, ByteView(buffer).first(static_cast<std::size_t>(got)), place),
                         "writing the disk");
        at += static_cast<std::uint64_t>(got);
    }
    return {};
}

// The root file system of a disk, reached through libext2fs.
class RootFileSystem {
  public:
    RootFileSystem(const InstallRequest& request, const Partition& root, const Activity& activity)
        : disk_(request.disk),
          range_{root.first * kSectorSize, (root.last + 1 - root.first) * kSectorSize},
          device_(fmt::format("{}?offset={}", request.disk.string(), range_.offset)),
          activity_(activity) {}

    // Replays the journal and mends what can be mended. Errors: Errc::corrupt for what cannot be put right
    // without a human.
    Result<void> check(const Path& folder) const {
        KZ_TRY(const UniqueFd disk, open_file(disk_, O_RDWR | O_CLOEXEC));
        Bytes features(4);
        if (::pread(disk.get(), features.data(), features.size(),
                    static_cast<off_t>(range_.offset + kFeatures)) != 4)
            return fail(Errc::corrupt, "the disk ends within its root partition");
        if ((load_le<std::uint32_t>(features.data()) & kNeedsRecovery) == 0) return run_e2fsck(device_);
        // e2fsck forgets the offset when it has replayed a journal: it gets the file system in a file of its
        // own.
        const Path file = folder / "root.img";
        KZ_TRY(const UniqueFd alone, open_file(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (::ftruncate(alone.get(), static_cast<off_t>(range_.size)) != 0)
            return fail_errno(errno, file.string());
        const auto shift = static_cast<std::int64_t>(range_.offset);
        KZ_CHECK(copy_data(disk.get(), range_, alone.get(), -shift, activity_));
        KZ_CHECK(run_e2fsck(file));
        KZ_CHECK(copy_data(alone.get(), {0, range_.size}, disk.get(), shift, activity_));
        return remove_file(file);
    }
    // `requests` are relative to `folder` where they name files of the host.
    Result<std::string> run(const std::vector<std::string>& requests, const Path& folder, bool write) const {
        KZ_TRY(const std::string debugfs, find_tool("debugfs"));
        const Path script = folder / "requests";
        KZ_CHECK(write_file_atomic(script, join(requests, "\n") + "\n", 0600));
        std::vector<std::string> command = {debugfs, "-f", script, device_};
        if (write) command.insert(command.begin() + 1, "-w");
        return activity_.run(std::move(command), folder);
    }
    Result<bool> has(const std::string& path, const Path& folder) const {
        KZ_TRY(const std::string output, run({"stat " + path}, folder, false));
        return output.find("Inode:") != std::string::npos;
    }

  private:
    // Of the superblock: the features without which it must not be mounted, and the one that says that there
    // is something in the journal.
    static constexpr std::uint64_t kFeatures = 1024 + 0x60;
    static constexpr std::uint32_t kNeedsRecovery = 4;

    Result<void> run_e2fsck(const std::string& device) const {
        KZ_TRY(const std::string e2fsck, find_tool("e2fsck"));
        CommandOptions options;
        options.cancel_fd = activity_.cancel_fd;
        KZ_TRY(const CommandOutput output, run_command({e2fsck, "-f", "-p", device}, options));
        KZ_CHECK(activity_.check());
        constexpr int kMended = 3;
        if (output.status <= kMended) return {};
        return fail(Errc::corrupt, "the source's root file system has errors: {}",
                    trim(output.standard_output + output.standard_error));
    }

    Path disk_;
    Range range_;
    std::string device_;
    const Activity& activity_;
};

// What is new, as files below a folder of the host; links are not among them.
Result<void> stage_debian(const InstallRequest& request, const Activity& activity, TreeBuilder& files,
                          const Path& folder) {
    for (const ManifestFile& file : network_files(request))
        files.file(file.path.relative_path(), file.mode, file.content);
    files.file("etc/machine-id", 0444, "");
    files.directory("etc/ssh", 0755);
    KZ_TRY(const std::string keygen, find_tool("ssh-keygen"));
    KZ_CHECK(activity.run({keygen, "-q", "-A", "-f", folder}));
    return {};
}

Result<void> stage_mini(const InstallRequest& request, TreeBuilder& files) {
    KZ_TRY(const MiniIdentity identity, plan_identity(request));
    files.file("etc/kz/network", 0644, identity.network);
    return {};
}

std::vector<std::string> files_below(const Path& folder) {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file()) paths.push_back(entry.path().lexically_relative(folder));
    }
    return paths;
}

Result<void> check_profile(const Profile& profile) {
    const Profile defaults;
    if (profile.users != defaults.users || !(profile.keyboard == defaults.keyboard))
        return fail(Errc::unsupported,
                    "a clone has the accounts and the keyboard of its source; its profile can say the "
                    "host name and the network");
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
    const RootFileSystem root(request, place, activity);
    KZ_CHECK(root.check(work.path()));
    KZ_TRY(const bool mini, root.has("/etc/kz/network", work.path()));
    KZ_TRY(const bool debian, root.has("/etc/systemd/network/90-kzones.network", work.path()));
    if (!mini && !debian)
        return fail(Errc::unsupported,
                    "the source was not installed by kzones: what tells two zones apart is not known");
    const Path folder = work.path() / "files";
    TreeBuilder files(folder);
    const std::string& name =
        request.profile.host_name.empty() ? request.zone_name : request.profile.host_name;
    files.directory("", 0755);
    files.file("etc/hostname", 0644, name + "\n");
    files.file("etc/hosts", 0644, fmt::format("127.0.0.1\tlocalhost\n127.0.1.1\t{}\n::1\tlocalhost\n", name));
    KZ_CHECK(mini ? stage_mini(request, files) : stage_debian(request, activity, files, folder));
    KZ_CHECK(std::move(files).outcome());
    std::vector<std::string> requests = removals(root, work.path(), debian);
    for (const std::string& path : files_below(folder)) {
        requests.push_back(fmt::format("rm /{}", path));
        requests.push_back(fmt::format("cd /{}", Path(path).parent_path().string()));
        requests.push_back(fmt::format("write files/{} {}", path, Path(path).filename().string()));
    }
    KZ_CHECK(root.run(requests, work.path(), true));
    // debugfs says of no request whether it was done.
    KZ_TRY(const std::string written, root.run({"cat /etc/hostname"}, work.path(), false));
    if (written.find(name + "\n") == std::string::npos)
        return fail(Errc::io, "the clone's files could not be written");
    return root.check(work.path());
}

Result<void> exchange_seed(const InstallRequest& request, const Partition& place, const Seed& seed) {
    KZ_TRY(Bytes image, make_seed_image(seed));
    const std::uint64_t room = (place.last + 1 - place.first) * kSectorSize;
    if (image.size() > room) return fail(Errc::no_space, "the seed of cloud-init is too large");
    image.resize(static_cast<std::size_t>(room));
    KZ_TRY(const UniqueFd disk, open_file(request.disk, O_WRONLY | O_CLOEXEC));
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
