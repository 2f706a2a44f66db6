#include "install/mini_tree.h"

#include "base/text.h"
#include "install/grub.h"

namespace kz::install {
namespace {

void add_folders(TreeBuilder& tree) {
    for (const char* folder : {"dev", "proc", "sys", "run", "mnt", "etc", "boot/grub", "usr/bin", "usr/sbin",
                               "usr/local/bin", "var/log", "var/kz"}) {
        tree.directory(folder, 0755);
    }
    tree.directory("root", 0700);
    tree.directory("tmp", 01777);
    tree.link("../run", "var/run");
}

void add_shells(TreeBuilder& tree, const MiniParts& parts, const Activity& activity) {
    tree.copy(parts.busybox, "bin/busybox", 0755);
    const Result<std::string> applets = activity.run({parts.busybox, "--list-full"});
    if (!applets) return tree.fail_with(applets.error());
    tree.copy(parts.bash, "bin/bash", 0755);
    for (const std::string& applet : split(*applets, '\n')) {
        if (!applet.empty() && applet != "bin/busybox") tree.link("/bin/busybox", applet);
    }
}

// Our own files. Overlaid on what busybox brought: poweroff, reboot and halt are ours.
void add_overlay(TreeBuilder& tree, const Path& share_dir) {
    const Path overlay = share_dir / "guest/mini/rootfs";
    std::error_code error;
    for (auto it = std::filesystem::recursive_directory_iterator(overlay, error);
         !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
        if (!it->is_regular_file()) continue;
        const auto mode = static_cast<mode_t>(it->status().permissions()) & 07777;
        tree.copy(it->path(), it->path().lexically_relative(overlay), mode & 0100 ? 0755 : 0644);
    }
    if (error) tree.fail_with(Error::from_errno(error.value(), overlay.string()));
    for (const char* program : {"kz-clock", "kz-echo", "kz-memload"}) {
        tree.copy(share_dir / "guest/bin" / program, Path("usr/bin") / program, 0755);
    }
    tree.copy(share_dir / "guest/agent/kz-agent", "usr/sbin/kz-agent", 0755);
    for (const char* action : {"poweroff", "reboot", "halt"})
        tree.link("kz-shutdown", Path("sbin") / action);
    tree.file("etc/shadow", 0600, "root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n");
}

void add_modules(TreeBuilder& tree, const MiniParts& parts, const Manifest& manifest) {
    const Path folder = Path("lib/modules") / parts.release;
    for (const KernelModule& module : parts.all_modules)
        tree.file(folder / module.path, 0644, as_text(module.content));
    tree.file(folder / "modules.dep", 0644, render_modules_dep(parts.all_modules));
    tree.file("etc/modules", 0644, join(manifest.modules, "\n") + "\n");
}

void add_files(TreeBuilder& tree, const std::vector<ManifestFile>& files) {
    for (const ManifestFile& file : files)
        tree.file(file.path.relative_path(), file.mode, file.content);
}

}  // namespace

void add_identity(TreeBuilder& tree, const MiniIdentity& identity) {
    tree.file("etc/hostname", 0644, identity.host_name + "\n");
    tree.file("etc/hosts", 0644,
              fmt::format("127.0.0.1\tlocalhost\n127.0.1.1\t{}\n::1\tlocalhost\n", identity.host_name));
    tree.file("etc/kz/network", 0644, identity.network);
    for (const MiniHome& home : identity.homes)
        tree.owned_directory(home.path.relative_path(), 0700, home.owner, home.owner);
    add_files(tree, identity.files);
}

Result<void> build_root_tree(const MiniParts& parts, const InstallRequest& request,
                             const MiniIdentity& identity, std::string_view root_uuid,
                             const Activity& activity, const Path& root) {
    KZ_TRY(const Bytes initramfs, build_initramfs(parts, request.manifest, request.share_dir));
    TreeBuilder tree(root);
    tree.directory("", 0755);
    add_folders(tree);
    add_shells(tree, parts, activity);
    add_overlay(tree, request.share_dir);
    add_modules(tree, parts, request.manifest);
    add_identity(tree, identity);
    add_files(tree, request.manifest.files);
    tree.copy(parts.kernel, "boot/vmlinuz", 0644);
    tree.file("boot/initrd.img", 0644, as_text(initramfs));
    tree.file("boot/grub/grub.cfg", 0644, make_grub_config(root_uuid, request.manifest.kernel_arguments));
    return std::move(tree).outcome();
}

}  // namespace kz::install
