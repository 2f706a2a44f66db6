#include "os/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "os/io.h"

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

Result<void> write_file_atomic(const Path& path, std::string_view content, mode_t mode) {
    std::string temporary = path.string() + ".XXXXXX";
    UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd) return fail_errno(errno, path.string());
    const auto write_and_replace = [&]() -> Result<void> {
        KZ_CHECK_CONTEXT(write_all(fd.get(), as_bytes(content), Deadline::never()), path.string());
        if (::fchmod(fd.get(), mode) < 0 || ::fsync(fd.get()) < 0) return fail_errno(errno, path.string());
        if (::rename(temporary.c_str(), path.c_str()) < 0) return fail_errno(errno, path.string());
        return sync_directory(path.parent_path());
    };
    Result<void> written = write_and_replace();
    if (!written) ::unlink(temporary.c_str());
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
    return sync_directory(path.parent_path());
}

Result<FileLock> FileLock::acquire(const Path& path, Deadline deadline) {
    // flock(2) has no timeout; a short retry is how one waits for it with a deadline.
    constexpr std::chrono::milliseconds kRetry{10};
    KZ_TRY(UniqueFd fd, open_file(path, O_RDWR | O_CREAT, 0600));
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) return fail_errno(errno, path.string());
        if (deadline.passed()) return fail(Errc::busy, "{}: locked by another process", path.string());
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
