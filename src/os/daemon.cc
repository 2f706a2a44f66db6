// Starting a daemon and hearing whether it came up.
#include <fcntl.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/text.h"
#include "os/io.h"
#include "os/process.h"
#include "os/ready.h"
#include "os/socket.h"

namespace kz {
namespace {

constexpr int kReadyFd = 3;
constexpr std::chrono::seconds kConnectTime{5};
constexpr std::string_view kReadyWord = "ok\n";

Result<std::string> read_to_end(int fd, Deadline deadline) {
    constexpr std::size_t kCap = 64 * 1024;
    std::string text;
    std::array<Byte, 4096> chunk;
    while (text.size() < kCap) {
        KZ_TRY(const std::size_t got, read_some(fd, chunk, deadline));
        if (got == 0) break;
        text += as_text(ByteView(chunk).first(got));
    }
    return text;
}

// Takes a variable out of the environment, so that no child mistakes it for its own.
std::optional<std::string> take_variable(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    std::string taken(value);
    ::unsetenv(name);
    return taken;
}

// Empty: nobody waits for a word.
UniqueFd take_ready_fd() {
    if (const auto number = take_variable(kReadyFdVariable)) {
        const auto fd = parse_u64(*number);
        return fd ? UniqueFd(static_cast<int>(*fd)) : UniqueFd();
    }
    const auto socket = take_variable(kReadySocketVariable);
    if (!socket) return {};
    // Whoever waited may have given up and gone.
    return unix_connect(*socket, Deadline::after(kConnectTime)).value_or(UniqueFd());
}

}  // namespace

Result<void> hear_ready(int fd, const std::string& name, Deadline deadline) {
    KZ_TRY_CONTEXT(const std::string word, read_to_end(fd, deadline),
                   fmt::format("waiting for {} to come up", name));
    if (word == kReadyWord) return {};
    if (word.empty()) return fail(Errc::internal, "{} ended before it was ready; see its log", name);
    const auto separator = word.find(' ');
    const std::string_view code = std::string_view(word).substr(0, separator);
    return std::unexpected(
        Error(errc_from_name(code), std::string(trim(std::string_view(word).substr(separator + 1)))));
}

Result<void> spawn_daemon(std::vector<std::string> argv,
                          const std::map<std::string, std::string>& environment, Deadline deadline) {
    std::array<int, 2> fds{};
    if (::pipe2(fds.data(), O_CLOEXEC) < 0) return fail_errno(errno, "pipe");
    const UniqueFd read_end(fds[0]);
    UniqueFd write_end(fds[1]);
    const std::string name = argv.empty() ? "" : Path(argv.front()).filename().string();
    // setsid --fork leaves the daemon as a child of init, so nobody here has to reap it.
    SpawnOptions spawn;
    spawn.argv = {"setsid", "--fork"};
    spawn.argv.insert(spawn.argv.end(), argv.begin(), argv.end());
    spawn.environment = environment;
    spawn.environment[kReadyFdVariable] = std::to_string(kReadyFd);
    spawn.fds = {{write_end.get(), kReadyFd}};
    KZ_TRY(Process starter, Process::spawn(spawn));
    write_end.reset();
    KZ_CHECK_CONTEXT(starter.wait(deadline), name);
    return hear_ready(read_end.get(), name, deadline);
}

void report_ready(const Result<void>& outcome) {
    const UniqueFd fd = take_ready_fd();
    if (!fd) return;
    const std::string word =
        outcome ? std::string(kReadyWord)
                : fmt::format("{} {}\n", errc_name(outcome.error().code()), outcome.error().message());
    [[maybe_unused]] const Result<void> written = write_all(fd.get(), as_bytes(word), Deadline::never());
}

}  // namespace kz
