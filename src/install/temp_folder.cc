#include "install/temp_folder.h"

#include <cerrno>
#include <cstdlib>

#include "os/file.h"

namespace kz::install {

Result<TempFolder> TempFolder::create(const Path& parent, std::string_view prefix) {
    KZ_CHECK(make_directories(parent, 0755));
    std::string name = (parent / prefix).string() + "XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) return fail_errno(errno, name);
    return TempFolder(name);
}

TempFolder::~TempFolder() {
    if (path_.empty()) return;
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

}  // namespace kz::install
