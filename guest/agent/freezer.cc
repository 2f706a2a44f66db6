#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "files.h"
#include "system.h"

namespace kzagent {
namespace {

using kz::agent::Answer;

// In memory, so that it can be written and removed while disks stand still.
constexpr const char* kMarker = "/run/kz-agent.frozen";
constexpr std::size_t kMaxMounts = 1024 * 1024;

// mountinfo writes blanks and the like as \040.
std::string unescape(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            out +=
                static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

bool has_word(const std::string& list, const std::string& word) {
    const std::vector<std::string> words = split(list, ',');
    return std::ranges::find(words, word) != words.end();
}

// Where each file system that is on a block device is mounted for writing, the last mounted first.
std::vector<std::string> mounts() {
    std::vector<std::string> points;
    std::set<std::string> seen;
    for (const std::string& line : split(read_text("/proc/self/mountinfo", kMaxMounts), '\n')) {
        const std::vector<std::string> fields = split(line, ' ');
        const auto separator = std::ranges::find(fields, "-");
        if (fields.size() < 10 || fields.end() - separator < 4) continue;
        const std::string& source = separator[2];
        const bool on_disk = source.starts_with("/dev/") && !source.starts_with("/dev/loop");
        if (on_disk && has_word(separator[3], "rw") && seen.insert(fields[2]).second)
            points.push_back(unescape(fields[4]));
    }
    std::ranges::reverse(points);
    return points;
}

kz::UniqueFd open_mount(const std::string& point) {
    return kz::UniqueFd(::open(point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
}

}  // namespace

void Freezer::thaw_leftovers() {
    if (!exists(kMarker)) return;
    for (const std::string& point : mounts()) {
        const kz::UniqueFd fd = open_mount(point);
        if (fd) ::ioctl(fd.get(), FITHAW, 0);
    }
    ::unlink(kMarker);
}

Answer Freezer::freeze(std::chrono::seconds at_most) {
    if (frozen()) return {EBUSY, 0, "already frozen"};
    const std::vector<std::string> points = mounts();
    write_text(kMarker, "");
    until_ = Clock::now() + at_most;
    for (const std::string& point : points) {
        kz::UniqueFd fd = open_mount(point);
        if (fd && ::ioctl(fd.get(), FIFREEZE, 0) == 0) {
            frozen_.push_back(std::move(fd));
            continue;
        }
        // What knows no freezing is left as it is; EBUSY: somebody else has frozen it already.
        if (fd && (errno == EOPNOTSUPP || errno == EBUSY)) continue;
        const int error = errno;
        thaw();
        return {static_cast<std::uint32_t>(error), 0, point + ": " + std::strerror(error)};
    }
    return {0, frozen_.size(), ""};
}

Answer Freezer::thaw() {
    const std::size_t count = frozen_.size();
    // In the opposite order.
    for (; !frozen_.empty(); frozen_.pop_back())
        ::ioctl(frozen_.back().get(), FITHAW, 0);
    if (count > 0) ::unlink(kMarker);
    return {0, count, ""};
}

}  // namespace kzagent
