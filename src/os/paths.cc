#include "os/paths.h"

#include <cstdlib>
#include <system_error>

namespace kz {
namespace {

Path own_folder() {
    std::error_code ignored;
    return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
}

}  // namespace

Result<HostPaths> HostPaths::from_environment(std::string_view root_option) {
    const char* variable = std::getenv("KZONES_ROOT");
    Path root = !root_option.empty()                       ? Path(root_option)
                : variable != nullptr && *variable != '\0' ? Path(variable)
                                                           : Path("/");
    if (!root.is_absolute())
        return fail(Errc::invalid_argument, "the root '{}' is not an absolute path", root.string());
    return HostPaths(root.lexically_normal());
}

Path HostPaths::share() {
    return own_folder().parent_path() / "share/kzones";
}

Path HostPaths::program(std::string_view name) {
    return own_folder() / name;
}

}  // namespace kz
