#include "storage/volume_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "os/file.h"
#include "os/io.h"

namespace kz::storage {
namespace {

constexpr std::uint64_t kPart = 1024 * 1024;

class Copy {
  public:
    Copy(int file, Volume& volume, const std::function<void(std::uint64_t)>& done, int cancel_fd)
        : file_(file), volume_(volume), done_(done), cancel_fd_(cancel_fd), buffer_(kPart) {}

    // Whole blocks from `start` to `end`; the file may end within the last.
    Result<void> range(std::uint64_t start, std::uint64_t end) {
        for (std::uint64_t at = start; at < end;) {
            KZ_CHECK(check_cancel());
            const MutableBytes part =
                MutableBytes(buffer_).first(static_cast<std::size_t>(std::min(kPart, end - at)));
            KZ_CHECK(read_part(at, part));
            KZ_CHECK(volume_.write(at, part));
            at += part.size();
            written_ += part.size();
            if (done_) done_(written_);
        }
        return {};
    }

    // Zeros where the volume holds anything else.
    Result<void> clear(std::uint64_t start, std::uint64_t end) {
        const Bytes zeros(kPart);
        for (std::uint64_t at = start; at < end; at += kPart) {
            KZ_CHECK(check_cancel());
            const std::size_t size = static_cast<std::size_t>(std::min(kPart, end - at));
            const MutableBytes part = MutableBytes(buffer_).first(size);
            KZ_CHECK(volume_.read(at, part));
            if (std::ranges::any_of(part, [](Byte byte) { return byte != 0; }))
                KZ_CHECK(volume_.write(at, ByteView(zeros).first(size)));
        }
        return {};
    }

  private:
    Result<void> check_cancel() const {
        if (cancel_fd_ >= 0 && wait_readable(cancel_fd_, Deadline::after(std::chrono::milliseconds(0))))
            return fail(Errc::cancelled, "cancelled");
        return {};
    }
    Result<void> read_part(std::uint64_t at, MutableBytes out) {
        std::ranges::fill(out, Byte{0});
        while (!out.empty()) {
            const ssize_t got = ::pread(file_, out.data(), out.size(), static_cast<off_t>(at));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return fail_errno(errno, "reading the disk's image");
            if (got == 0) return {};
            out = out.subspan(static_cast<std::size_t>(got));
            at += static_cast<std::uint64_t>(got);
        }
        return {};
    }

    int file_;
    Volume& volume_;
    const std::function<void(std::uint64_t)>& done_;
    int cancel_fd_;
    Bytes buffer_;
    std::uint64_t written_ = 0;
};

struct Extent {
    std::uint64_t start;
    std::uint64_t end;
};

// The next part that holds data, from `from` on, in whole blocks.
Result<std::optional<Extent>> next_extent(int file, std::uint64_t from) {
    const off_t data = ::lseek(file, static_cast<off_t>(from), SEEK_DATA);
    if (data < 0 && errno == ENXIO) return std::optional<Extent>();
    if (data < 0) return fail_errno(errno, "reading the disk's image");
    const off_t hole = ::lseek(file, data, SEEK_HOLE);
    if (hole < 0) return fail_errno(errno, "reading the disk's image");
    const auto blocks = [](std::uint64_t bytes) { return bytes / kVolumeBlock * kVolumeBlock; };
    return std::optional(Extent{blocks(static_cast<std::uint64_t>(data)),
                                blocks(static_cast<std::uint64_t>(hole) + kVolumeBlock - 1)});
}

}  // namespace

Result<void> copy_file_to_volume(const std::filesystem::path& file, Volume& volume, std::uint64_t limit,
                                 Holes holes, const std::function<void(std::uint64_t)>& done, int cancel_fd) {
    KZ_TRY(const UniqueFd fd, open_file(file, O_RDONLY));
    KZ_CHECK(volume.write_durable(0, Bytes(kVolumeBlock)));
    Copy copy(fd.get(), volume, done, cancel_fd);
    for (std::uint64_t at = kVolumeBlock;;) {
        KZ_TRY(const std::optional<Extent> extent, next_extent(fd.get(), at));
        if (extent && extent->end > limit)
            return fail(Errc::invalid_argument, "the disk's image is larger than the volume");
        if (holes == Holes::clear)
            KZ_CHECK(
                copy.clear(at, extent ? std::max(extent->start, at) : limit / kVolumeBlock * kVolumeBlock));
        if (!extent) break;
        KZ_CHECK(copy.range(std::max<std::uint64_t>(extent->start, at), extent->end));
        at = extent->end;
    }
    KZ_CHECK(volume.flush());
    KZ_CHECK(copy.range(0, kVolumeBlock));
    return volume.flush();
}

namespace {

// Where a volume that is a local file has data; another has it everywhere.
class DataMap {
  public:
    explicit DataMap(const Volume& volume) {
        const std::filesystem::path path = volume.suri().local_path();
        std::error_code error;
        if (path.empty() || !std::filesystem::is_regular_file(path, error)) return;
        if (Result<UniqueFd> fd = open_file(path, O_RDONLY | O_CLOEXEC)) fd_ = *std::move(fd);
    }
    // The next place with data, from `from` on.
    Result<std::optional<Extent>> next(std::uint64_t from, std::uint64_t limit) const {
        if (from >= limit) return std::optional<Extent>();
        if (!fd_) return std::optional(Extent{from, limit});
        KZ_TRY(std::optional<Extent> extent, next_extent(fd_.get(), from));
        if (!extent || extent->start >= limit) return std::optional<Extent>();
        return std::optional(Extent{std::max(extent->start, from), std::min(extent->end, limit)});
    }

  private:
    UniqueFd fd_;
};

}  // namespace

Result<void> copy_volume_to_file(Volume& volume, std::uint64_t bytes, const std::filesystem::path& file,
                                 int cancel_fd) {
    KZ_TRY(const UniqueFd fd, open_file(file, O_WRONLY | O_CLOEXEC));
    if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return fail_errno(errno, file.string());
    const DataMap map(volume);
    Bytes buffer(kPart);
    for (std::uint64_t at = 0;;) {
        KZ_TRY(const std::optional<Extent> extent, map.next(at, bytes));
        if (!extent) return {};
        for (at = extent->start; at < extent->end;) {
            if (cancel_fd >= 0 && wait_readable(cancel_fd, Deadline::after(std::chrono::milliseconds(0))))
                return fail(Errc::cancelled, "cancelled");
            const MutableBytes part =
                MutableBytes(buffer).first(static_cast<std::size_t>(std::min(kPart, extent->end - at)));
            KZ_CHECK(volume.read(at, part));
            if (std::ranges::any_of(part, [](Byte byte) { return byte != 0; }))
                KZ_CHECK_CONTEXT(write_at(fd.get(), part, at), "writing the copy of the disk");
            at += part.size();
        }
    }
}

}  // namespace kz::storage
