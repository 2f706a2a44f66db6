#include "install/root_file_system.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "install/gpt.h"
#include "install/tools.h"
#include "os/file.h"
#include "os/io.h"

namespace kz::install {
namespace {

// Of the superblock: the features without which it must not be mounted, and the one that says that there is
// something in the journal.
constexpr std::uint64_t kFeatures = 1024 + 0x60;
constexpr std::uint32_t kNeedsRecovery = 4;

struct Range {
    std::uint64_t offset;
    std::uint64_t size;
};

// The data of `from` within the range goes to the same range of `to`, moved by `shift`; holes stay holes.
Result<void> copy_data(int from, const Range& range, int to, std::int64_t shift, const Activity& activity) {
    Bytes buffer(kMebibyte);
    const std::uint64_t end = range.offset + range.size;
    for (std::uint64_t at = range.offset; at < end;) {
        KZ_CHECK(activity.check());
        const off_t data = ::lseek(from, static_cast<off_t>(at), SEEK_DATA);
        if (data < 0 && errno == ENXIO) return {};
        if (data < 0) return fail_errno(errno, "reading the disk");
        at = std::max(at, static_cast<std::uint64_t>(data));
        if (at >= end) return {};
        const ssize_t got = ::pread(from, buffer.data(), std::min<std::uint64_t>(buffer.size(), end - at),
                                    static_cast<off_t>(at));
        if (got <= 0) return fail_errno(got < 0 ? errno : EIO, "reading the disk");
        const auto place = static_cast<std::uint64_t>(static_cast<std::int64_t>(at) + shift);
        KZ_CHECK_CONTEXT(write_at(to, ByteView(buffer).first(static_cast<std::size_t>(got)), place),
                         "writing the disk");
        at += static_cast<std::uint64_t>(got);
    }
    return {};
}

}  // namespace

RootFileSystem::RootFileSystem(Path disk, const Partition& root, const Activity& activity)
    : disk_(std::move(disk)),
      offset_(root.first * kSectorSize),
      size_((root.last + 1 - root.first) * kSectorSize),
      device_(fmt::format("{}?offset={}", disk_.string(), offset_)),
      activity_(activity) {}

Result<void> RootFileSystem::check(const Path& folder) const {
    KZ_TRY(const UniqueFd disk, open_file(disk_, O_RDWR | O_CLOEXEC));
    Bytes features(4);
    if (::pread(disk.get(), features.data(), features.size(), static_cast<off_t>(offset_ + kFeatures)) != 4)
        return fail(Errc::corrupt, "the disk ends within its root partition");
    if ((load_le<std::uint32_t>(features.data()) & kNeedsRecovery) == 0) return run_e2fsck(device_);
    // e2fsck forgets the offset when it has replayed a journal: it gets the file system in a file of its own.
    const Path file = folder / "root.img";
    KZ_TRY(const UniqueFd alone, open_file(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (::ftruncate(alone.get(), static_cast<off_t>(size_)) != 0) return fail_errno(errno, file.string());
    const auto shift = static_cast<std::int64_t>(offset_);
    KZ_CHECK(copy_data(disk.get(), {offset_, size_}, alone.get(), -shift, activity_));
    KZ_CHECK(run_e2fsck(file));
    KZ_CHECK(copy_data(alone.get(), {0, size_}, disk.get(), shift, activity_));
    return remove_file(file);
}

Result<std::string> RootFileSystem::run(const std::vector<std::string>& requests, const Path& folder,
                                        bool write) const {
    KZ_TRY(const std::string debugfs, find_tool("debugfs"));
    const Path script = folder / "requests";
    KZ_CHECK(write_file_atomic(script, join(requests, "\n") + "\n", 0600));
    std::vector<std::string> command = {debugfs, "-f", script, device_};
    if (write) command.insert(command.begin() + 1, "-w");
    return activity_.run(std::move(command), folder);
}

Result<bool> RootFileSystem::has(const std::string& path, const Path& folder) const {
    KZ_TRY(const std::string output, run({"stat " + path}, folder, false));
    return output.find("Inode:") != std::string::npos;
}

Result<void> RootFileSystem::run_e2fsck(const std::string& device) const {
    KZ_TRY(const std::string e2fsck, find_tool("e2fsck"));
    CommandOptions options;
    options.cancel_fd = activity_.cancel_fd;
    KZ_TRY(const CommandOutput output, run_command({e2fsck, "-f", "-p", device}, options));
    KZ_CHECK(activity_.check());
    constexpr int kMended = 3;
    if (output.status <= kMended) return {};
    return fail(Errc::corrupt, "the source's root file system has errors: {}",
                trim(output.standard_output + output.standard_error));
}

}  // namespace kz::install
