#include "monitor/console_history.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "os/file.h"

namespace kz::monitor {
namespace {

constexpr std::string_view kMagic = "KZCONS01";
constexpr std::size_t kEndOffset = 8;
constexpr std::size_t kFloorOffset = 16;
constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kFileBytes = kHeaderBytes + kConsoleHistoryBytes;

}  // namespace

Result<ConsoleHistory> ConsoleHistory::open(const Path& file) {
    KZ_TRY(const UniqueFd fd, open_file(file, O_RDWR | O_CREAT, 0600));
    struct stat status{};
    if (::fstat(fd.get(), &status) < 0) return fail_errno(errno, file.string());
    const bool fits = static_cast<std::size_t>(status.st_size) == kFileBytes;
    // Allocated now, so that a full disk is an error here and not a SIGBUS later.
    if (!fits && ::ftruncate(fd.get(), 0) < 0) return fail_errno(errno, file.string());
    if (const int error = ::posix_fallocate(fd.get(), 0, kFileBytes); error != 0)
        return fail_errno(error, file.string());
    void* const map = ::mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (map == MAP_FAILED) return fail_errno(errno, file.string());
    ConsoleHistory history(static_cast<Byte*>(map));
    if (as_text({history.map_, kMagic.size()}) != kMagic) history.restore({}, 0);
    return history;
}

ConsoleHistory::~ConsoleHistory() {
    if (map_ != nullptr) ::munmap(map_, kFileBytes);
}

std::uint64_t ConsoleHistory::end() const {
    return load_le<std::uint64_t>(map_ + kEndOffset);
}

std::uint64_t ConsoleHistory::begin() const {
    const std::uint64_t floor = std::min(load_le<std::uint64_t>(map_ + kFloorOffset), end());
    return std::max(floor, end() - std::min<std::uint64_t>(end(), kConsoleHistoryBytes));
}

void ConsoleHistory::append(ByteView bytes) {
    std::uint64_t position = end();
    const std::uint64_t new_end = position + bytes.size();
    while (!bytes.empty()) {
        const std::size_t place = position % kConsoleHistoryBytes;
        const std::size_t length = std::min(bytes.size(), kConsoleHistoryBytes - place);
        std::copy_n(bytes.data(), length, map_ + kHeaderBytes + place);
        bytes = bytes.subspan(length);
        position += length;
    }
    store_le(map_ + kEndOffset, new_end);
}

Bytes ConsoleHistory::read(std::uint64_t position, std::size_t cap) const {
    position = std::clamp(position, begin(), end());
    const std::size_t total = std::min<std::uint64_t>(cap, end() - position);
    Bytes bytes;
    bytes.reserve(total);
    while (bytes.size() < total) {
        const std::size_t place = (position + bytes.size()) % kConsoleHistoryBytes;
        const std::size_t length = std::min(total - bytes.size(), kConsoleHistoryBytes - place);
        const Byte* const from = map_ + kHeaderBytes + place;
        bytes.insert(bytes.end(), from, from + length);
    }
    return bytes;
}

void ConsoleHistory::restore(ByteView bytes, std::uint64_t end) {
    bytes = bytes.last(std::min({bytes.size(), kConsoleHistoryBytes, static_cast<std::size_t>(end)}));
    std::fill_n(map_, kHeaderBytes, Byte{0});
    store_le(map_ + kEndOffset, end - bytes.size());
    store_le(map_ + kFloorOffset, end - bytes.size());
    append(bytes);
    std::copy(kMagic.begin(), kMagic.end(), map_);
}

}  // namespace kz::monitor
