#include "install/temp_folder.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>

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
    // Processes that were killed may write for a moment longer.
    constexpr int kAttempts = 50;
    std::error_code error;
    for (int i = 0; i < kAttempts; ++i) {
        std::filesystem::remove_all(path_, error);
        if (!error) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

}  // namespace kz::install
