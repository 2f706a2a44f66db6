#include "os/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "os/io.h"
#include "os/uuid.h"

namespace kz {

Result<UniqueFd> open_file(const Path& path, int flags, mode_t mode) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd) return fail_errno(errno, path.string());
    return fd;
}

Result<std::string> read_file(const Path& path, std::size_t cap) {
    KZ_TRY(const UniqueFd fd, open_file(path, O_RDONLY));
    std::string content;
    std::string chunk(std::min<std::size_t>(cap + 1, 64 * 1024), '\0');
    while (content.size() <= cap) {
        const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, path.string());
        if (got == 0) return content;
        content.append(chunk, 0, static_cast<std::size_t>(got));
    }
    return fail(Errc::invalid_argument, "{}: larger than {} bytes", path.string(), cap);
}

Result<void> sync_directory(const Path& folder) {
    KZ_TRY(const UniqueFd fd, open_file(folder, O_RDONLY | O_DIRECTORY));
    if (::fsync(fd.get()) < 0) return fail_errno(errno, folder.string());
    return {};
}

namespace {

Path folder_of(const Path& path) {
    return path.has_parent_path() ? path.parent_path() : Path(".");
}

// A new file beside `path`; its name stays empty until it has one. The kernel removes a file without a name
// when we die, so that a crash leaves no litter; not every file system has such files.
Result<UniqueFd> open_temporary(const Path& path, std::string& name) {
    UniqueFd fd(::open(folder_of(path).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd) return fd;
    std::string made = path.string() + ".XXXXXX";
    fd.reset(::mkostemp(made.data(), O_CLOEXEC));
    if (!fd) return fail_errno(errno, path.string());
    name = made;
    return fd;
}

// rename(2) needs a name to start from.
Result<void> give_name(int fd, const Path& path, std::string& name) {
    if (!name.empty()) return {};
    KZ_TRY(const std::string unique, random_uuid());
    const std::string wanted = fmt::format("{}.{}", path.string(), std::string_view(unique).substr(0, 8));
    const std::string source = fmt::format("/proc/self/fd/{}", fd);
    if (::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, wanted.c_str(), AT_SYMLINK_FOLLOW) < 0)
        return fail_errno(errno, path.string());
    name = wanted;
    return {};
}

}  // namespace

Result<void> write_file_atomic(const Path& path, std::string_view content, mode_t mode) {
    std::string name;
    KZ_TRY(const UniqueFd fd, open_temporary(path, name));
    const auto write_and_replace = [&]() -> Result<void> {
        KZ_CHECK_CONTEXT(write_all(fd.get(), as_bytes(content), Deadline::never()), path.string());
        if (::fchmod(fd.get(), mode) < 0 || ::fsync(fd.get()) < 0) return fail_errno(errno, path.string());
        KZ_CHECK(give_name(fd.get(), path, name));
        if (::rename(name.c_str(), path.c_str()) < 0) return fail_errno(errno, path.string());
        name.clear();
        return sync_directory(folder_of(path));
    };
    Result<void> written = write_and_replace();
    if (!name.empty()) ::unlink(name.c_str());
    return written;
}

Result<void> make_directories(const Path& path, mode_t mode) {
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0) {
        if (!S_ISDIR(status.st_mode)) return fail(Errc::already_exists, "{}: is not a folder", path.string());
        return {};
    }
    if (path.has_parent_path() && path != path.parent_path())
        KZ_CHECK(make_directories(path.parent_path(), 0755));
    if (::mkdir(path.c_str(), mode) < 0 && errno != EEXIST) return fail_errno(errno, path.string());
    return {};
}

Result<void> remove_file(const Path& path) {
    if (::unlink(path.c_str()) < 0) {
        if (errno == ENOENT) return {};
        return fail_errno(errno, path.string());
    }
    return sync_directory(folder_of(path));
}

Result<FileLock> FileLock::acquire(const Path& path, Deadline deadline) {
    // flock(2) has no timeout; a short retry is how one waits for it with a deadline.
    constexpr std::chrono::milliseconds kRetry{10};
    // held() takes the lock for a moment, which must not look like a holder to who tries only once.
    constexpr int kLeastTries = 3;
    KZ_TRY(UniqueFd fd, open_file(path, O_RDWR | O_CREAT, 0600));
    for (int tries = 1; ::flock(fd.get(), LOCK_EX | LOCK_NB) < 0; ++tries) {
        if (errno != EWOULDBLOCK && errno != EINTR) return fail_errno(errno, path.string());
        if (deadline.passed() && tries >= kLeastTries)
            return fail(Errc::busy, "{}: locked by another process", path.string());
        std::this_thread::sleep_for(kRetry);
    }
    return FileLock(std::move(fd));
}

bool FileLock::held(const Path& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return false;
    return ::flock(fd.get(), LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

}  // namespace kz
