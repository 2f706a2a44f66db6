#include "store/rename.h"

#include <cerrno>
#include <cstdio>

#include "base/text.h"
#include "os/file.h"
#include "zone/names.h"

namespace kz::store {
namespace {

constexpr std::chrono::seconds kPatience{10};

Path intent_file(const HostPaths& paths) {
    return paths.etc_zones() / ".rename";
}

Result<FileLock> rename_lock(const HostPaths& paths) {
    KZ_CHECK(make_directories(paths.run_dir() / ".locks", 0755));
    return FileLock::acquire(paths.run_dir() / ".locks/.rename", Deadline::after(kPatience));
}

// Durable; nothing to do when it has been done.
Result<void> move_file(const Path& from, const Path& to) {
    if (::rename(from.c_str(), to.c_str()) < 0) {
        if (errno == ENOENT) return {};
        return fail_errno(errno, from.string());
    }
    return sync_directory(to.parent_path());
}

Result<void> move_record(const HostPaths& paths, const std::string& old_name, const std::string& new_name) {
    const Path from = paths.zone_dir(old_name) / "state.json";
    std::error_code ignored;
    if (!std::filesystem::exists(from, ignored)) return {};
    KZ_CHECK(make_directories(paths.zone_dir(new_name), 0755));
    KZ_CHECK(move_file(from, paths.zone_dir(new_name) / "state.json"));
    // Only when nothing else (a disk) is in it.
    std::filesystem::remove(paths.zone_dir(old_name), ignored);
    return {};
}

}  // namespace

Result<void> begin_rename(const HostPaths& paths, std::string_view old_name, std::string_view new_name) {
    KZ_TRY(const FileLock lock, rename_lock(paths));
    std::error_code ignored;
    if (std::filesystem::exists(intent_file(paths), ignored))
        return fail(Errc::busy, "another zone is being renamed");
    return write_file_atomic(intent_file(paths), fmt::format("{} {}\n", old_name, new_name), 0600);
}

Result<void> complete_rename(const HostPaths& paths) {
    std::error_code ignored;
    if (!std::filesystem::exists(intent_file(paths), ignored)) return {};
    KZ_TRY(const FileLock lock, rename_lock(paths));
    const Result<std::string> intent = read_file(intent_file(paths), 1024);
    if (!intent && intent.error().code() == Errc::not_found) return {};  // completed while we waited
    if (!intent) return std::unexpected(intent.error());
    const std::vector<std::string> names = split(trim(*intent), ' ');
    if (names.size() != 2 || !zone::is_valid_zone_name(names[0]) || !zone::is_valid_zone_name(names[1]))
        return fail(Errc::corrupt, "{}: not the names of two zones", intent_file(paths).string());
    KZ_CHECK(move_record(paths, names[0], names[1]));
    KZ_CHECK(move_file(paths.key_file(names[0]), paths.key_file(names[1])));
    KZ_CHECK(move_file(paths.config_file(names[0]), paths.config_file(names[1])));
    return remove_file(intent_file(paths));
}

}  // namespace kz::store
