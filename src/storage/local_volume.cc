#include "storage/local_volume.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "os/file.h"
#include "storage/aligned_buffer.h"
#include "storage/credentials.h"

namespace kz::storage {
namespace {

constexpr std::size_t kMaxTransfer = 1024 * 1024;
constexpr mode_t kFileMode = 0600;
constexpr mode_t kFolderMode = 0755;

struct Opened {
    UniqueFd fd;
    bool direct = false;
};

// O_DIRECT where the file system has it: the page cache of this host may be older than what another host
// wrote.
Result<Opened> open_direct(const std::string& path) {
    constexpr int kFlags = O_RDWR | O_DSYNC | O_NOCTTY;
    Result<UniqueFd> direct = open_file(path, kFlags | O_DIRECT);
    if (direct) return Opened{*std::move(direct), true};
    if (direct.error().sys_errno() != EINVAL) return std::unexpected(std::move(direct).error());
    KZ_TRY(UniqueFd buffered, open_file(path, kFlags));
    return Opened{std::move(buffered), false};
}

Result<Path> local_node(const Suri& suri, const LuPlaces& places) {
    if (suri.type() != SuriType::lu) return suri.local_path();
    KZ_TRY(const LocalDisk disk, find_lu(suri, places));
    return disk.node;
}

Result<std::uint64_t> measure(int fd, const Suri& suri, const Path& path) {
    struct stat status{};
    if (::fstat(fd, &status) < 0) return fail_errno(errno, path.string());
    if (suri.type() == SuriType::file) {
        if (!S_ISREG(status.st_mode))
            return fail(Errc::invalid_argument, "{}: not a regular file", path.string());
        return static_cast<std::uint64_t>(status.st_size);
    }
    if (!S_ISBLK(status.st_mode))
        return fail(Errc::invalid_argument, "{}: not a block device", path.string());
    std::uint64_t bytes = 0;
    if (::ioctl(fd, BLKGETSIZE64, &bytes) < 0) return fail_errno(errno, path.string());
    return bytes;
}

class LocalVolume final : public Volume {
  public:
    LocalVolume(Suri suri, Path path, Opened opened, std::uint64_t size)
        : suri_(std::move(suri)), path_(std::move(path)), opened_(std::move(opened)), size_(size) {}

    const Suri& suri() const override { return suri_; }
    std::uint64_t size_bytes() const override { return size_; }
    Result<void> read(std::uint64_t offset, MutableBytes out) override;
    Result<void> write_durable(std::uint64_t offset, ByteView bytes) override;
    Result<VolumeBacking> backing() override;

  private:
    Result<void> check_range(std::uint64_t offset, std::uint64_t bytes) const;
    Result<std::size_t> read_blocks(std::uint64_t offset, MutableBytes aligned, std::size_t needed) const;
    std::string name() const { return path_.string(); }

    Suri suri_;
    Path path_;
    Opened opened_;
    std::uint64_t size_;
};

Result<void> LocalVolume::check_range(std::uint64_t offset, std::uint64_t bytes) const {
    if (offset <= size_ && bytes <= size_ - offset) return {};
    return fail(Errc::invalid_argument, "{}: {} bytes at {} are beyond its end", name(), bytes, offset);
}

// Reads until `needed` bytes are there; the last block of a file may be a part of one.
Result<std::size_t> LocalVolume::read_blocks(std::uint64_t offset, MutableBytes aligned,
                                             std::size_t needed) const {
    std::size_t done = 0;
    while (done < needed) {
        const ssize_t got = ::pread(opened_.fd.get(), aligned.data() + done, aligned.size() - done,
                                    static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, name());
        if (got == 0) return fail(Errc::io, "{}: shorter than it was when opened", name());
        done += static_cast<std::size_t>(got);
    }
    return done;
}

Result<void> LocalVolume::read(std::uint64_t offset, MutableBytes out) {
    KZ_CHECK(check_range(offset, out.size()));
    if (!opened_.direct) {
        ::posix_fadvise(opened_.fd.get(), static_cast<off_t>(offset), static_cast<off_t>(out.size()),
                        POSIX_FADV_DONTNEED);
    }
    AlignedBuffer buffer(std::min(kMaxTransfer, out.size() + 2 * kVolumeBlock));
    while (!out.empty()) {
        const std::uint64_t start = offset / kVolumeBlock * kVolumeBlock;
        const auto skip = static_cast<std::size_t>(offset - start);
        const std::size_t part = std::min(out.size(), buffer.bytes().size() - skip);
        KZ_CHECK(read_blocks(start, buffer.bytes(), skip + part));
        std::ranges::copy(buffer.bytes().subspan(skip, part), out.begin());
        out = out.subspan(part);
        offset += part;
    }
    return {};
}

Result<void> LocalVolume::write_durable(std::uint64_t offset, ByteView bytes) {
    KZ_CHECK(check_range(offset, bytes.size()));
    if (offset % kVolumeBlock != 0 || bytes.size() % kVolumeBlock != 0)
        return fail(Errc::invalid_argument, "{}: a write that is not of whole blocks", name());
    AlignedBuffer buffer(std::min(kMaxTransfer, bytes.size()));
    while (!bytes.empty()) {
        const std::size_t part = std::min(bytes.size(), buffer.bytes().size());
        std::ranges::copy(bytes.first(part), buffer.bytes().begin());
        const ssize_t written =
            ::pwrite(opened_.fd.get(), buffer.bytes().data(), part, static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail_errno(errno, name());
        // A short write ends on a block, or the next one says why it cannot go on.
        const std::size_t whole = static_cast<std::size_t>(written) / kVolumeBlock * kVolumeBlock;
        if (whole == 0) return fail(Errc::no_space, "{}: cannot write", name());
        bytes = bytes.subspan(whole);
        offset += whole;
    }
    return {};
}

Result<VolumeBacking> LocalVolume::backing() {
    KZ_TRY(const ScopedCredentials rights, ScopedCredentials::enter(suri_));
    KZ_TRY(UniqueFd fd, open_file(path_, O_RDWR | O_NOCTTY));
    struct stat ours{};
    struct stat theirs{};
    if (::fstat(opened_.fd.get(), &ours) < 0 || ::fstat(fd.get(), &theirs) < 0)
        return fail_errno(errno, name());
    if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino || ours.st_rdev != theirs.st_rdev)
        return fail(Errc::wrong_state, "{}: replaced by another file while in use", name());
    return LocalBacking{std::move(fd), S_ISBLK(theirs.st_mode)};
}

}  // namespace

Result<std::unique_ptr<Volume>> open_local_volume(const Suri& suri, const LuPlaces& places) {
    KZ_TRY(const ScopedCredentials rights, ScopedCredentials::enter(suri));
    KZ_TRY(Path path, local_node(suri, places));
    KZ_TRY(Opened opened, open_direct(path.string()));
    KZ_TRY(const std::uint64_t size, measure(opened.fd.get(), suri, path));
    // The kernel may have given the device's name to another LUN before it was open; now it cannot.
    KZ_TRY(const Path now, local_node(suri, places));
    if (now != path)
        return fail(Errc::unavailable, "{}: the disk's device changed from {} to {} meanwhile", suri.render(),
                    path.string(), now.string());
    return std::make_unique<LocalVolume>(suri, std::move(path), std::move(opened), size);
}

Result<void> create_local_file(const Suri& suri, std::uint64_t bytes) {
    const Path path = suri.local_path();
    if (bytes == 0 || bytes > INT64_MAX)
        return fail(Errc::invalid_argument, "{}: a volume cannot have {} bytes", path.string(), bytes);
    KZ_TRY(const ScopedCredentials rights, ScopedCredentials::enter(suri));
    KZ_CHECK(make_directories(path.parent_path(), kFolderMode));
    KZ_TRY(const UniqueFd fd, open_file(path, O_RDWR | O_CREAT | O_EXCL, kFileMode));
    const auto give_size = [&]() -> Result<void> {
        if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) < 0 || ::fsync(fd.get()) < 0)
            return fail_errno(errno, path.string());
        return sync_directory(path.parent_path());
    };
    Result<void> made = give_size();
    if (!made) ::unlink(path.c_str());
    return made;
}

Result<void> destroy_local_file(const Suri& suri) {
    const Path path = suri.local_path();
    KZ_TRY(const ScopedCredentials rights, ScopedCredentials::enter(suri));
    struct stat status{};
    // Of a symbolic link only the link would go, and the data stay.
    if (::lstat(path.c_str(), &status) < 0) return fail_errno(errno, path.string());
    if (!S_ISREG(status.st_mode))
        return fail(Errc::invalid_argument, "{}: not a regular file", path.string());
    return remove_file(path);
}

Result<bool> local_exists(const Suri& suri, const LuPlaces& places) {
    if (suri.type() == SuriType::lu) {
        const Result<LocalDisk> disk = find_lu(suri, places);
        if (!disk && disk.error().code() != Errc::not_found) return std::unexpected(disk.error());
        return disk.has_value();
    }
    KZ_TRY(const ScopedCredentials rights, ScopedCredentials::enter(suri));
    struct stat status{};
    if (::stat(suri.local_path().c_str(), &status) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return fail_errno(errno, suri.local_path().string());
}

}  // namespace kz::storage
