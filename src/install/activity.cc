#include "install/activity.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/text.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxLine = 64 * 1024;

// Tells the lines of what comes through a pipe, until nobody has its other end.
class LineReader {
  public:
    LineReader(int fd, const Activity& activity, const Teller& line)
        : fd_(fd), activity_(activity), line_(line) {}

    Result<void> run() {
        while (true) {
            std::array<pollfd, 2> polled{pollfd{fd_, POLLIN, 0}, pollfd{activity_.cancel_fd, POLLIN, 0}};
            if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR)
                return fail_errno(errno, "poll");
            KZ_CHECK(activity_.check());
            if (polled[0].revents == 0) continue;
            KZ_TRY(const bool more, take());
            if (!more) return {};
        }
    }

  private:
    Result<bool> take() {
        std::array<char, 4096> part;
        const ssize_t got = ::read(fd_, part.data(), part.size());
        if (got < 0 && errno == EINTR) return true;
        if (got < 0) return fail_errno(errno, "read");
        text_.append(part.data(), static_cast<std::size_t>(got));
        for (std::size_t end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
            line_(std::string_view(text_).substr(0, end));
            text_.erase(0, end + 1);
        }
        if (got == 0 && !text_.empty()) line_(text_);
        if (text_.size() > kMaxLine) text_.clear();
        return got > 0;
    }

    int fd_;
    const Activity& activity_;
    const Teller& line_;
    std::string text_;
};

}  // namespace

Result<void> Activity::check() const {
    pollfd entry{cancel_fd, POLLIN, 0};
    if (cancel_fd >= 0 && ::poll(&entry, 1, 0) == 1) return fail(Errc::cancelled, "cancelled");
    return {};
}

Result<std::string> Activity::run(std::vector<std::string> argv, const Path& working_directory) const {
    CommandOptions options;
    options.working_directory = working_directory;
    return run(std::move(argv), std::move(options));
}

Result<std::string> Activity::run(std::vector<std::string> argv, CommandOptions options) const {
    options.cancel_fd = cancel_fd;
    options.environment.emplace("LC_ALL", "C");
    Result<std::string> output = run_checked(std::move(argv), options);
    // ^C ends the program too, and may do so first.
    if (!output) KZ_CHECK(check());
    return output;
}

Result<void> Activity::run_telling(std::vector<std::string> argv, CommandOptions options,
                                   const Teller& line) const {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    SpawnOptions spawn;
    spawn.argv = std::move(argv);
    spawn.fds = {{writer.get(), 1}, {writer.get(), 2}};
    spawn.environment = std::move(options.environment);
    spawn.environment.emplace("LC_ALL", "C");
    spawn.working_directory = options.working_directory;
    KZ_TRY(Process child, Process::spawn(spawn));
    writer.reset();
    const Result<void> read = LineReader(reader.get(), *this, line).run();
    if (!read) {
        child.kill_and_wait();
        return read;
    }
    KZ_TRY(const std::string ended, child.wait(Deadline::never(), cancel_fd));
    KZ_CHECK(check());
    if (child.exit_status() != 0) return fail(Errc::io, "it {}", ended);
    return {};
}

void Activity::note(std::string_view text) const {
    if (!detail) return;
    for (const std::string& line : split(text, '\n')) {
        if (!line.empty()) detail(line);
    }
}

}  // namespace kz::install
