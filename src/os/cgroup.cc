#include "os/cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdint>

#include "os/file.h"
#include "os/io.h"

namespace kz {
namespace {

std::optional<Path> unified_mount() {
    for (const char* candidate : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
        struct statfs status{};
        if (::statfs(candidate, &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC) return Path(candidate);
    }
    return std::nullopt;
}

bool write_value(const Path& file, std::string_view value) {
    const Result<UniqueFd> fd = open_file(file, O_WRONLY);
    return fd && write_all(fd->get(), as_bytes(value), Deadline::never()).has_value();
}

}  // namespace

std::optional<Cgroup> Cgroup::create(std::string_view name) {
    const std::optional<Path> mount = unified_mount();
    if (!mount) return std::nullopt;
    const Path parent = *mount / "kzones";
    const Path folder = parent / name;
    if (!make_directories(parent, 0755)) return std::nullopt;
    // Each controller on its own: a kernel that lacks one shall still give the others.
    for (const char* controller : {"+cpu", "+memory", "+pids"}) {
        write_value(*mount / "cgroup.subtree_control", controller);
        write_value(parent / "cgroup.subtree_control", controller);
    }
    if (!make_directories(folder, 0755) || ::access((folder / "cgroup.procs").c_str(), W_OK) != 0)
        return std::nullopt;
    return Cgroup(folder);
}

bool Cgroup::write(std::string_view file, std::string_view value) const {
    return write_value(folder_ / file, value);
}

bool Cgroup::limit_cpu(double cpus) const {
    constexpr std::uint64_t kPeriodMicroseconds = 100000;
    return write("cpu.max", fmt::format("{} {}", static_cast<std::uint64_t>(cpus * kPeriodMicroseconds),
                                        kPeriodMicroseconds));
}

bool Cgroup::limit_memory(std::uint64_t bytes) const {
    return write("memory.max", std::to_string(bytes));
}

void Cgroup::remove() const {
    ::rmdir(folder_.c_str());
}

}  // namespace kz
