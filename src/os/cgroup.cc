#include "os/cgroup.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "os/file.h"

namespace kz {
namespace {

std::optional<Path> unified_mount() {
    for (const char* candidate : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
        struct statfs status{};
        if (::statfs(candidate, &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC) return Path(candidate);
    }
    return std::nullopt;
}

}  // namespace

std::optional<Cgroup> Cgroup::create(std::string_view name) {
    const std::optional<Path> mount = unified_mount();
    if (!mount) return std::nullopt;
    const Path parent = *mount / "kzones";
    const Path folder = parent / name;
    if (!make_directories(parent, 0755)) return std::nullopt;
    if (!make_directories(folder, 0755) || ::access((folder / "cgroup.procs").c_str(), W_OK) != 0)
        return std::nullopt;
    return Cgroup(folder);
}

void Cgroup::remove() const {
    ::rmdir(folder_.c_str());
}

}  // namespace kz
