#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "image/medium.h"
#include "os/file.h"

namespace kz::image {
namespace {

class FileMedium final : public Medium {
  public:
    FileMedium(UniqueFd fd, Path path, Path temporary)
        : fd_(std::move(fd)), path_(std::move(path)), temporary_(std::move(temporary)) {}
    ~FileMedium() override {
        if (!temporary_.empty()) ::unlink(temporary_.c_str());
    }

    Result<void> read_at(std::uint64_t offset, MutableBytes out) override {
        while (!out.empty()) {
            const ssize_t got = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return fail_errno(errno, path_.native());
            if (got == 0) return fail(Errc::corrupt, "{} ends too early", path_.native());
            offset += static_cast<std::uint64_t>(got);
            out = out.subspan(static_cast<std::size_t>(got));
        }
        return {};
    }

    Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
        while (!bytes.empty()) {
            const ssize_t done = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (done < 0 && errno == EINTR) continue;
            // A limit on the size of files is a full disk to the one who suspends a zone.
            if (done < 0) return fail_errno(errno == EFBIG ? ENOSPC : errno, path_.native());
            offset += static_cast<std::uint64_t>(done);
            bytes = bytes.subspan(static_cast<std::size_t>(done));
        }
        return {};
    }

    Result<std::uint64_t> size() override {
        struct stat status{};
        if (::fstat(fd_.get(), &status) != 0) return fail_errno(errno, path_.native());
        return static_cast<std::uint64_t>(status.st_size);
    }

    std::optional<std::uint64_t> fixed_size() const override { return std::nullopt; }

    Result<void> sync() override {
        if (::fsync(fd_.get()) != 0) return fail_errno(errno, path_.native());
        return {};
    }

    Result<void> publish() override {
        if (temporary_.empty()) return fail(Errc::wrong_state, "{} has its name already", path_.native());
        if (::rename(temporary_.c_str(), path_.c_str()) != 0) return fail_errno(errno, path_.native());
        temporary_.clear();
        const Path folder = path_.parent_path();
        return sync_directory(folder.empty() ? Path(".") : folder);
    }

  private:
    UniqueFd fd_;
    Path path_;
    Path temporary_;  // empty when there is none (any more)
};

// Whether the locked file is still the one that `path` names: another writer may have published it meanwhile.
bool still_named(int fd, const Path& path) {
    struct stat mine{};
    struct stat named{};
    return ::fstat(fd, &mine) == 0 && ::lstat(path.c_str(), &named) == 0 && mine.st_ino == named.st_ino &&
           mine.st_dev == named.st_dev;
}

Path draft_of(const Path& path) {
    Path draft = path;
    draft += ".tmp";
    return draft;
}

}  // namespace

Result<std::unique_ptr<Medium>> create_file_medium(const Path& path) {
    Path temporary = draft_of(path);
    UniqueFd fd(::open(temporary.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail_errno(errno, temporary.native());
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || !still_named(fd.get(), temporary))
        return fail(Errc::busy, "{} is being written", path.native());
    if (::fchmod(fd.get(), 0600) != 0 || ::ftruncate(fd.get(), 0) != 0)
        return fail_errno(errno, temporary.native());
    return std::make_unique<FileMedium>(std::move(fd), path, std::move(temporary));
}

void remove_file_draft(const Path& path) {
    const Path temporary = draft_of(path);
    const UniqueFd fd(::open(temporary.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 && still_named(fd.get(), temporary))
        ::unlink(temporary.c_str());
}

Result<std::unique_ptr<Medium>> open_file_medium(const Path& path) {
    // O_NONBLOCK: a pipe of this name must not make us wait.
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) return fail_errno(errno, path.native());
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return fail_errno(errno, path.native());
    if (!S_ISREG(status.st_mode)) return fail(Errc::invalid_argument, "{} is not a file", path.native());
    return std::make_unique<FileMedium>(std::move(fd), path, Path());
}

}  // namespace kz::image
