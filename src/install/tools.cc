#include "install/tools.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <utility>

#include "base/text.h"
#include "os/paths.h"

namespace kz::install {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 19> kPackages = {{
    {"apt-cache", "apt"},    {"apt-config", "apt"},      {"apt-get", "apt"},
    {"chroot", "coreutils"}, {"debugfs", "e2fsprogs"},   {"dpkg-deb", "dpkg"},
    {"e2fsck", "e2fsprogs"}, {"gzip", "gzip"},           {"grub-mkimage", "grub-common"},
    {"mcopy", "mtools"},     {"mformat", "mtools"},      {"mke2fs", "e2fsprogs"},
    {"mmd", "mtools"},       {"qemu-img", "qemu-utils"}, {"setpriv", "util-linux"},
    {"tar", "tar"},          {"tune2fs", "e2fsprogs"},   {"unshare", "util-linux"},
    {"xz", "xz-utils"},
}};

std::string_view package_of(std::string_view tool) {
    for (const auto& [name, package] : kPackages) {
        if (name == tool) return package;
    }
    return tool;
}

}  // namespace

Result<std::string> find_tool(std::string_view name) {
    const char* path = std::getenv("PATH");
    for (const std::string& folder :
         split(std::string(path ? path : "") + ":/usr/sbin:/usr/bin:/sbin:/bin", ':')) {
        if (folder.empty()) continue;
        const Path candidate = Path(folder) / name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate.string();
    }
    return fail(Errc::not_found, "the program {} is missing; install the package {}", name, package_of(name));
}

}  // namespace kz::install
