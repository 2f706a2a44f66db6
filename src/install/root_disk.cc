#include "install/root_disk.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "install/esp.h"
#include "install/gpt.h"
#include "install/grub.h"
#include "install/tools.h"
#include "os/file.h"
#include "os/io.h"

namespace kz::install {
namespace {

// O_EXCL: a block device that the host itself uses (mounted, part of a volume) is Errc::busy.
Result<UniqueFd> open_disk(const Path& path, std::uint64_t usable_bytes) {
    struct stat info = {};
    if (::stat(path.c_str(), &info) != 0) return fail_errno(errno, path.string());
    const int exclusive = S_ISBLK(info.st_mode) ? O_EXCL : 0;
    KZ_TRY(UniqueFd disk, open_file(path, O_RDWR | O_CLOEXEC | exclusive));
    const off_t size = ::lseek(disk.get(), 0, SEEK_END);
    if (size < 0) return fail_errno(errno, path.string());
    if (static_cast<std::uint64_t>(size) < usable_bytes) {
        return fail(Errc::no_space, "{} has {} bytes, {} are needed", path.string(), size, usable_bytes);
    }
    return disk;
}

// Whatever was on the disk stops being bootable first; then its space is given back, where that can be done.
Result<void> clear(const Path& path, std::uint64_t usable_bytes, std::uint64_t boot_area) {
    KZ_TRY(const UniqueFd disk, open_disk(path, usable_bytes));
    KZ_CHECK_CONTEXT(write_at(disk.get(), Bytes(boot_area), 0), "writing the disk");
    const std::uint64_t range[2] = {boot_area, usable_bytes - boot_area};
    if (::fallocate(disk.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(range[0]),
                    static_cast<off_t>(range[1])) != 0) [[maybe_unused]]
        const int discarded = ::ioctl(disk.get(), BLKDISCARD, range);
    return {};
}

Result<void> make_root_file_system(const RootDisk& what, const DiskLayout& layout, const Activity& activity) {
    KZ_TRY(const std::string mke2fs, find_tool("mke2fs"));
    const std::uint64_t kibibytes = (layout.root_last + 1 - layout.root_first) * kSectorSize / 1024;
    // Without the two features GRUB 2.06 reads it, whatever this host's mke2fs.conf turns on.
    std::vector<std::string> command = {mke2fs,
                                        "-q",
                                        "-F",
                                        "-t",
                                        "ext4",
                                        "-b",
                                        "4096",
                                        "-m",
                                        "1",
                                        "-L",
                                        "root",
                                        "-U",
                                        what.root_uuid,
                                        "-O",
                                        "^metadata_csum_seed,^orphan_file",
                                        "-E",
                                        fmt::format("offset={},lazy_itable_init=1,nodiscard,root_owner=0:0",
                                                    layout.root_first * kSectorSize)};
    if (what.journal_mebibytes > 0)
        command.insert(command.end(), {"-J", fmt::format("size={}", what.journal_mebibytes)});
    command.insert(command.end(), {"-d", what.tree, what.disk, fmt::format("{}k", kibibytes)});
    Result<std::string> made = activity.run(std::move(command));
    if (made || made.error().code() == Errc::cancelled)
        return made ? Result<void>() : std::unexpected(made.error());
    if (made.error().message().find("Could not allocate") != std::string::npos) {
        return fail(Errc::no_space, "the files do not fit on the disk, of which the zone sees {} MiB",
                    what.usable_bytes / kMebibyte);
    }
    return std::unexpected(std::move(made).error());
}

// What is written in front of the root partition.
struct BootArea {
    PartitionTable table;
    GrubImages grub;
    Bytes esp;
};

Result<BootArea> make_boot_area(const RootDisk& what, const DiskLayout& layout, const Path& work_dir,
                                const Activity& activity) {
    KZ_TRY(const DiskUuids uuids, random_disk_uuids());
    BootArea area;
    KZ_TRY(area.table, encode_gpt(layout, uuids));
    KZ_TRY(area.grub, make_grub_images(what.root_uuid, work_dir, activity.cancel_fd));
    KZ_TRY(area.esp, make_esp(area.grub.efi, work_dir, activity));
    return area;
}

// The first sector goes last: a disk whose installation was cut short does not boot.
Result<void> write_boot_area(int disk, const DiskLayout& layout, BootArea area) {
    Bytes start(layout.esp_first * kSectorSize);
    std::ranges::copy(area.table.primary, start.begin());
    const std::uint64_t boot_offset = layout.boot_first * kSectorSize;
    const std::uint64_t boot_size = (layout.boot_last + 1 - layout.boot_first) * kSectorSize;
    KZ_CHECK(patch_core_image(area.grub.core, layout.boot_first, boot_size));
    std::ranges::copy(area.grub.core, start.begin() + static_cast<std::ptrdiff_t>(boot_offset));
    KZ_CHECK(embed_boot_image(start, area.grub.boot, layout.boot_first));
    const auto write = [&](ByteView bytes, std::uint64_t offset) -> Result<void> {
        KZ_CHECK_CONTEXT(write_at(disk, bytes, offset), "writing the disk");
        return {};
    };
    KZ_CHECK(write(area.table.backup, area.table.backup_offset));
    KZ_CHECK(write(area.esp, layout.esp_first * kSectorSize));
    KZ_CHECK(write(ByteView(start).subspan(kSectorSize), kSectorSize));
    if (::fsync(disk) != 0) return fail_errno(errno, "writing the disk");
    KZ_CHECK(write(ByteView(start).first(kSectorSize), 0));
    if (::fsync(disk) != 0) return fail_errno(errno, "writing the disk");
    return {};
}

}  // namespace

Result<void> check_root_disk(const Path& disk, std::uint64_t usable_bytes) {
    KZ_CHECK(plan_disk(usable_bytes));
    KZ_CHECK(open_disk(disk, usable_bytes));
    return {};
}

Result<void> write_root_disk(const RootDisk& what, const Path& work_dir, const Activity& activity) {
    KZ_TRY(const DiskLayout layout, plan_disk(what.usable_bytes));
    KZ_TRY(BootArea boot_area, make_boot_area(what, layout, work_dir, activity));
    activity.say("Writing the disk");
    KZ_CHECK(activity.check());
    // Closed again: mke2fs wants a block device for itself.
    KZ_CHECK(clear(what.disk, what.usable_bytes, layout.esp_first * kSectorSize));
    KZ_CHECK(make_root_file_system(what, layout, activity));
    KZ_TRY(const UniqueFd disk, open_disk(what.disk, what.usable_bytes));
    return write_boot_area(disk.get(), layout, std::move(boot_area));
}

}  // namespace kz::install
