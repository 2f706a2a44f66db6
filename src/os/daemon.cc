// Starting a daemon and hearing whether it came up.
#include <fcntl.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/text.h"
#include "os/io.h"
#include "os/process.h"

namespace kz {
namespace {

constexpr const char* kReadyVariable = "KZONES_READY_FD";
constexpr int kReadyFd = 3;
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

}  // namespace

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
    spawn.environment[kReadyVariable] = std::to_string(kReadyFd);
    spawn.fds = {{write_end.get(), kReadyFd}};
    KZ_TRY(Process starter, Process::spawn(spawn));
    write_end.reset();
    KZ_CHECK_CONTEXT(starter.wait(deadline), name);
    KZ_TRY_CONTEXT(const std::string word, read_to_end(read_end.get(), deadline),
                   fmt::format("waiting for {} to come up", name));
    if (word == kReadyWord) return {};
    if (word.empty()) return fail(Errc::internal, "{} ended before it was ready; see its log", name);
    const auto separator = word.find(' ');
    const std::string_view code = std::string_view(word).substr(0, separator);
    return std::unexpected(
        Error(errc_from_name(code), std::string(trim(std::string_view(word).substr(separator + 1)))));
}

void report_ready(const Result<void>& outcome) {
    const char* variable = std::getenv(kReadyVariable);
    const auto number = variable != nullptr ? parse_u64(variable) : std::nullopt;
    if (!number) return;
    ::unsetenv(kReadyVariable);
    const UniqueFd fd(static_cast<int>(*number));
    const std::string word =
        outcome ? std::string(kReadyWord)
                : fmt::format("{} {}\n", errc_name(outcome.error().code()), outcome.error().message());
    [[maybe_unused]] const Result<void> written = write_all(fd.get(), as_bytes(word), Deadline::never());
}

}  // namespace kz
