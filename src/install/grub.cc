// Theory of operation: what grub-install does for BIOS and GPT (GRUB 2.06, util/setup.c), on plain bytes.
// boot.img is one sector: code in bytes 0-439; at 0x5c the 64-bit sector from which it loads core.img's first
// sector; at 0x66 a jump that, made two NOPs, makes it take the BIOS's word for the boot drive only when that
// is a hard disk. core.img's first sector loads the rest by a block list that grows down from its end: at
// 0x1f4 the 64-bit first sector, the 16-bit number of sectors and the 16-bit segment to load to (already
// right).
#include "install/grub.h"

#include <algorithm>

#include "install/gpt.h"
#include "install/tools.h"
#include "os/file.h"
#include "os/process.h"

namespace kz::install {
namespace {

constexpr std::size_t kCoreSectorField = 0x5c;
constexpr std::size_t kDriveCheck = 0x66;
constexpr Byte kNop = 0x90;
constexpr std::size_t kBlockList = 0x1f4;
constexpr std::size_t kMaxImageSize = 8 * kMebibyte;
constexpr std::string_view kBiosFolder = "/usr/lib/grub/i386-pc";
constexpr std::string_view kEfiFolder = "/usr/lib/grub/x86_64-efi";

Result<void> check_folder(const Path& some_file, std::string_view package) {
    if (std::filesystem::exists(some_file)) return {};
    return fail(Errc::not_found, "{} is missing; install the package {}", some_file.string(), package);
}

// `modules`: what it needs to find its disk.
Result<void> make_image(std::string_view target, std::string_view folder, const Path& config,
                        const Path& image, const std::vector<std::string>& modules, int cancel_fd) {
    KZ_TRY(const std::string mkimage, find_tool("grub-mkimage"));
    std::vector<std::string> command = {
        mkimage, "-O", std::string(target), "-d", std::string(folder), "-c", config, "-p", "/boot/grub",
        "-o",    image};
    command.insert(command.end(), modules.begin(), modules.end());
    command.insert(command.end(),
                   {"part_gpt", "ext2", "search_fs_uuid", "linux", "normal", "serial", "terminal"});
    CommandOptions options;
    options.cancel_fd = cancel_fd;
    KZ_CHECK(run_checked(std::move(command), options));
    return {};
}

}  // namespace

Result<void> embed_boot_image(MutableBytes disk_start, ByteView boot_image, std::uint64_t core_sector) {
    if (boot_image.size() != kSectorSize) {
        return fail(Errc::corrupt, "GRUB's boot.img has {} bytes instead of 512", boot_image.size());
    }
    if (disk_start.size() < kSectorSize) return fail(Errc::invalid_argument, "no room for GRUB's boot.img");
    std::ranges::copy(boot_image.first(kBootCodeSize), disk_start.begin());
    store_le(disk_start.data() + kCoreSectorField, core_sector);
    disk_start[kDriveCheck] = kNop;
    disk_start[kDriveCheck + 1] = kNop;
    return {};
}

Result<void> patch_core_image(Bytes& core_image, std::uint64_t core_sector, std::uint64_t room) {
    if (core_image.size() > room) {
        return fail(Errc::no_space, "GRUB's core.img has {} bytes; the boot partition has {}",
                    core_image.size(), room);
    }
    if (core_image.size() <= kSectorSize) return fail(Errc::corrupt, "GRUB's core.img is too short");
    core_image.resize((core_image.size() + kSectorSize - 1) / kSectorSize * kSectorSize);
    const std::uint64_t rest = core_image.size() / kSectorSize - 1;
    store_le(core_image.data() + kBlockList, core_sector + 1);
    store_le(core_image.data() + kBlockList + 8, static_cast<std::uint16_t>(rest));
    return {};
}

Result<GrubImages> make_grub_images(std::string_view root_uuid, const Path& work_dir, int cancel_fd) {
    const Path boot_path = Path(kBiosFolder) / "boot.img";
    KZ_CHECK(check_folder(boot_path, "grub-pc-bin"));
    KZ_CHECK(check_folder(Path(kEfiFolder) / "moddep.lst", "grub-efi-amd64-bin"));
    const Path config_path = work_dir / "core.cfg";
    const Path core_path = work_dir / "core.img";
    const Path efi_path = work_dir / "grub.efi";
    KZ_CHECK(write_file_atomic(
        config_path, fmt::format("search.fs_uuid {} root\nset prefix=($root)/boot/grub\n", root_uuid), 0600));
    KZ_CHECK(make_image("i386-pc", kBiosFolder, config_path, core_path, {"biosdisk"}, cancel_fd));
    KZ_CHECK(make_image("x86_64-efi", kEfiFolder, config_path, efi_path, {}, cancel_fd));
    KZ_TRY(const std::string boot, read_file(boot_path, kMaxImageSize));
    KZ_TRY(const std::string core, read_file(core_path, kMaxImageSize));
    return GrubImages{{boot.begin(), boot.end()}, {core.begin(), core.end()}, efi_path};
}

std::string make_grub_config(std::string_view root_uuid, std::string_view kernel_arguments,
                             std::string_view kernel, std::string_view initrd) {
    return fmt::format(
        "# No menu and no waiting: what is here runs as soon as GRUB has read it.\n"
        "serial --unit=0 --speed=115200\n"
        "terminal_input serial\n"
        "terminal_output serial\n"
        "linux {} root=UUID={} {}\n"
        "initrd {}\n"
        "boot\n",
        kernel, root_uuid, kernel_arguments, initrd);
}

}  // namespace kz::install
