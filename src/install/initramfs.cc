#include <zstd.h>

#include "base/text.h"
#include "install/cpio.h"
#include "install/mini_tree.h"
#include "os/file.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxProgramSize = 16 * 1024 * 1024;
// Higher levels save a few per cent of a megabyte and cost seconds.
constexpr int kCompressionLevel = 12;

Result<Bytes> compress(ByteView plain) {
    Bytes packed(ZSTD_compressBound(plain.size()));
    const std::size_t size =
        ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), kCompressionLevel);
    if (ZSTD_isError(size)) return fail(Errc::internal, "zstd: {}", ZSTD_getErrorName(size));
    packed.resize(size);
    return packed;
}

void add_modules(CpioWriter& archive, const MiniParts& parts) {
    const Path folder = Path("lib/modules") / parts.release;
    archive.add_directory("lib", 0755);
    archive.add_directory("lib/modules", 0755);
    archive.add_directory(folder.string(), 0755);
    // One folder for all: only modules.dep says where a module is.
    std::vector<KernelModule> flat = parts.early_modules;
    for (KernelModule& module : flat) {
        module.path = module.path.filename();
        archive.add_file((folder / module.path).string(), 0644, module.content);
    }
    archive.add_file((folder / "modules.dep").string(), 0644, as_bytes(render_modules_dep(flat)));
}

}  // namespace

Result<Bytes> build_initramfs(const MiniParts& parts, const Manifest& manifest, const Path& share_dir) {
    KZ_TRY(const std::string init, read_file(share_dir / "guest/mini/initramfs/init", kMaxProgramSize));
    KZ_TRY(const std::string busybox, read_file(parts.busybox, kMaxProgramSize));
    CpioWriter archive;
    for (const std::string_view folder : {"bin", "dev", "etc", "proc", "root", "sys"}) {
        archive.add_directory(folder, 0755);
    }
    archive.add_file("init", 0755, as_bytes(init));
    archive.add_file("bin/busybox", 0755, as_bytes(busybox));
    for (const std::string_view applet : {"cat", "findfs", "modprobe", "mount", "reboot", "setsid", "sh",
                                          "switch_root", "usleep", "ls", "dmesg"}) {
        archive.add_symlink("bin/" + std::string(applet), "busybox");
    }
    archive.add_file("etc/modules", 0644, as_bytes(join(manifest.initramfs_modules, "\n") + "\n"));
    add_modules(archive, parts);
    return compress(std::move(archive).finish());
}

}  // namespace kz::install
