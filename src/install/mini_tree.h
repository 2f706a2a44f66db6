// The files of the mini zone: its initial file system and its root file system. For the mini builder.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "install/activity.h"
#include "install/kernel_modules.h"
#include "install/mini.h"
#include "install/mini_profile.h"
#include "install/packages.h"
#include "install/tree_builder.h"

namespace kz::install {

// What the packages brought.
struct MiniParts {
    std::string release;
    Path kernel;
    Path busybox;
    Path bash;                                // the console's shell
    std::vector<KernelModule> early_modules;  // in loading order
    std::vector<KernelModule> all_modules;    // the early ones too
};
Result<MiniParts> find_mini_parts(const PackageSet& set, const Manifest& manifest);

// A cpio archive compressed with zstd, as the kernel takes it.
Result<Bytes> build_initramfs(const MiniParts& parts, const Manifest& manifest, const Path& share_dir);

// What makes it one zone and not another.
void add_identity(TreeBuilder& tree, const MiniIdentity& identity);

// Fills the existing, empty folder `tree`, boot loader's configuration included.
Result<void> build_root_tree(const MiniParts& parts, const InstallRequest& request,
                             const MiniIdentity& identity, std::string_view root_uuid,
                             const Activity& activity, const Path& tree);

}  // namespace kz::install
