#include "install/mini_tree.h"

namespace kz::install {
namespace {

// The first of the packages' trees that has `path`.
Result<Path> find_in(const PackageSet& set, const std::vector<Path>& candidates) {
    for (const UnpackedPackage& package : set.packages) {
        for (const Path& candidate : candidates) {
            if (std::filesystem::exists(package.tree / candidate)) return package.tree / candidate;
        }
    }
    return fail(Errc::not_found, "none of the manifest's packages brings /{}", candidates.front().string());
}

Result<Path> find_kernel(const PackageSet& set) {
    for (const UnpackedPackage& package : set.packages) {
        std::error_code missing;
        for (const auto& entry : std::filesystem::directory_iterator(package.tree / "boot", missing)) {
            if (entry.path().filename().string().starts_with("vmlinuz-")) return entry.path();
        }
    }
    return fail(Errc::not_found, "none of the manifest's packages brings a kernel");
}

}  // namespace

Result<MiniParts> find_mini_parts(const PackageSet& set, const Manifest& manifest) {
    MiniParts parts;
    KZ_TRY(parts.kernel, find_kernel(set));
    parts.release = parts.kernel.filename().string().substr(std::string_view("vmlinuz-").size());
    KZ_TRY(parts.busybox, find_in(set, {"bin/busybox", "usr/bin/busybox"}));
    KZ_TRY(parts.bash, find_in(set, {"bin/bash-static", "usr/bin/bash-static"}));
    KZ_TRY(const Path folder,
           find_in(set, {Path("lib/modules") / parts.release, Path("usr/lib/modules") / parts.release}));
    KZ_TRY(const ModuleIndex index, ModuleIndex::scan(folder));
    KZ_TRY_CONTEXT(parts.early_modules, index.closure(manifest.initramfs_modules), "initramfs-modules");
    std::vector<std::string> all = manifest.initramfs_modules;
    all.insert(all.end(), manifest.modules.begin(), manifest.modules.end());
    KZ_TRY_CONTEXT(parts.all_modules, index.closure(all), "modules");
    return parts;
}

}  // namespace kz::install
