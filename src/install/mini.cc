#include "install/mini.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>

#include "base/text.h"
#include "install/gpt.h"
#include "install/grub.h"
#include "install/mini_profile.h"
#include "install/mini_tree.h"
#include "install/temp_folder.h"
#include "install/tools.h"
#include "os/file.h"
#include "os/uuid.h"

namespace kz::install {
namespace {

bool is_address(const std::string& text) {
    in6_addr ignored;
    return inet_pton(text.find(':') == std::string::npos ? AF_INET : AF_INET6, text.c_str(), &ignored) == 1;
}

bool is_address_with_prefix(const std::string& text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string::npos || !is_address(text.substr(0, slash))) return false;
    const auto prefix = parse_u64(text.substr(slash + 1));
    return prefix && *prefix <= (text.find(':') == std::string::npos ? 32U : 128U);
}

bool is_plain_word(const std::string& text) {
    return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
        return std::isalnum(c) || c == '-' || c == '_' || c == '.';
    });
}

// What is written into files of the zone must not be able to say more than it is meant to.
Result<void> check_request(const InstallRequest& request) {
    if (!is_plain_word(request.zone_name)) {
        return fail(Errc::invalid_argument, "'{}' cannot be a host name", request.zone_name);
    }
    for (const StaticAddress& one : request.network) {
        if (!is_plain_word(one.interface)) {
            return fail(Errc::invalid_argument, "'{}' is not a network interface", one.interface);
        }
        if (!is_address_with_prefix(one.address)) {
            return fail(Errc::invalid_argument, "'{}' is not an address with a prefix such as 192.0.2.5/24",
                        one.address);
        }
        if (!one.router.empty() && !is_address(one.router)) {
            return fail(Errc::invalid_argument, "'{}' is not the address of a router", one.router);
        }
    }
    if (request.usable_bytes < request.manifest.minimum_size) {
        return fail(Errc::no_space, "the disk gives the zone {}; the manifest '{}' asks for {}",
                    render_size(request.usable_bytes), request.manifest.name,
                    render_size(request.manifest.minimum_size));
    }
    return {};
}

// O_EXCL: a block device that the host itself uses (mounted, part of a volume) is Errc::busy.
Result<UniqueFd> open_disk(const InstallRequest& request) {
    struct stat info = {};
    if (::stat(request.disk.c_str(), &info) != 0) return fail_errno(errno, request.disk.string());
    const int exclusive = S_ISBLK(info.st_mode) ? O_EXCL : 0;
    KZ_TRY(UniqueFd disk, open_file(request.disk, O_RDWR | O_CLOEXEC | exclusive));
    const off_t size = ::lseek(disk.get(), 0, SEEK_END);
    if (size < 0) return fail_errno(errno, request.disk.string());
    if (static_cast<std::uint64_t>(size) < request.usable_bytes) {
        return fail(Errc::no_space, "{} has {} bytes, {} are needed", request.disk.string(), size,
                    request.usable_bytes);
    }
    return disk;
}

Result<void> write_at(int fd, ByteView bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return fail_errno(errno, "writing the disk");
        bytes = bytes.subspan(static_cast<std::size_t>(done));
        offset += static_cast<std::uint64_t>(done);
    }
    return {};
}

Result<void> make_root_file_system(const InstallRequest& request, const DiskLayout& layout, const Path& tree,
                                   std::string_view uuid, const Activity& activity) {
    KZ_TRY(const std::string mke2fs, find_tool("mke2fs"));
    const std::uint64_t kibibytes = (layout.root_last + 1 - layout.root_first) * kSectorSize / 1024;
    // Without the two features GRUB 2.06 reads it, whatever this host's mke2fs.conf turns on.
    KZ_CHECK(activity.run({mke2fs,
                           "-q",
                           "-F",
                           "-t",
                           "ext4",
                           "-b",
                           "4096",
                           "-m",
                           "1",
                           "-J",
                           "size=8",
                           "-L",
                           "root",
                           "-U",
                           std::string(uuid),
                           "-O",
                           "^metadata_csum_seed,^orphan_file",
                           "-E",
                           fmt::format("offset={},lazy_itable_init=1,nodiscard,root_owner=0:0",
                                       layout.root_first * kSectorSize),
                           "-d",
                           tree,
                           request.disk,
                           fmt::format("{}k", kibibytes)}));
    return {};
}

// Everything before the root partition, and the table's copy at the end. The first sector goes last: a disk
// whose installation was cut short does not boot.
Result<void> write_boot_area(int disk, const DiskLayout& layout, const PartitionTable& table,
                             GrubImages images) {
    Bytes start(layout.root_first * kSectorSize);
    std::ranges::copy(table.primary, start.begin());
    const std::uint64_t boot_offset = layout.boot_first * kSectorSize;
    const std::uint64_t boot_size = (layout.boot_last + 1 - layout.boot_first) * kSectorSize;
    KZ_CHECK(patch_core_image(images.core, layout.boot_first, boot_size));
    std::ranges::copy(images.core, start.begin() + static_cast<std::ptrdiff_t>(boot_offset));
    KZ_CHECK(embed_boot_image(start, images.boot, layout.boot_first));
    KZ_CHECK(write_at(disk, table.backup, table.backup_offset));
    KZ_CHECK(write_at(disk, ByteView(start).subspan(kSectorSize), kSectorSize));
    if (::fsync(disk) != 0) return fail_errno(errno, "writing the disk");
    KZ_CHECK(write_at(disk, ByteView(start).first(kSectorSize), 0));
    if (::fsync(disk) != 0) return fail_errno(errno, "writing the disk");
    return {};
}

Result<void> fill_disk(const InstallRequest& request, const MiniParts& parts, const MiniIdentity& identity,
                       const DiskLayout& layout, const std::string& uuid, const Activity& activity) {
    KZ_TRY(const TempFolder work, TempFolder::create(request.work_dir, "mini-"));
    const Path tree = work.path() / "root";
    KZ_CHECK(make_directories(tree, 0755));
    KZ_CHECK(build_root_tree(parts, request, identity, uuid, activity, tree));
    KZ_TRY(GrubImages images, make_grub_images(uuid, work.path(), activity.cancel_fd));
    activity.say("Writing the disk");
    KZ_CHECK(activity.check());
    {
        // Whatever was on the disk stops being bootable before its root goes. Closed again: mke2fs wants a
        // block device for itself.
        KZ_TRY(const UniqueFd disk, open_disk(request));
        KZ_CHECK(write_at(disk.get(), Bytes(layout.root_first * kSectorSize), 0));
    }
    KZ_CHECK(make_root_file_system(request, layout, tree, uuid, activity));
    KZ_TRY(const UniqueFd disk, open_disk(request));
    KZ_TRY(const std::string disk_uuid, random_uuid());
    KZ_TRY(const std::string boot_uuid, random_uuid());
    KZ_TRY(const std::string partition_uuid, random_uuid());
    KZ_TRY(const PartitionTable table, encode_gpt(layout, disk_uuid, boot_uuid, partition_uuid));
    return write_boot_area(disk.get(), layout, table, std::move(images));
}

}  // namespace

Result<InstallReport> install_mini(const InstallRequest& request) {
    KZ_CHECK(check_request(request));
    KZ_TRY(const MiniIdentity identity, plan_identity(request));
    KZ_TRY(const DiskLayout layout, plan_disk(request.usable_bytes));
    KZ_CHECK(open_disk(request));
    const Activity activity{request.progress, request.cancel_fd};
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
    KZ_CHECK(fill_disk(request, parts, identity, layout, report.root_uuid, activity));
    return report;
}

}  // namespace kz::install
