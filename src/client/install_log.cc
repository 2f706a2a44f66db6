#include "client/install_log.h"

#include <fcntl.h>
#include <fmt/chrono.h>

#include <chrono>

#include "os/file.h"
#include "os/io.h"

namespace kz::client {

Result<InstallLog> InstallLog::create(const HostPaths& paths, const std::string& zone,
                                      const std::string& operation, const Reporter& reporter) {
    KZ_CHECK(make_directories(paths.log_dir(), 0755));
    const std::string stamp =
        fmt::format("{:%Y%m%dT%H%M%SZ}",
                    fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
    const Path file = paths.log_dir() / fmt::format("zoneadm.{}.{}.{}", stamp, zone, operation);
    KZ_TRY(UniqueFd fd, open_file(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    reporter.say(fmt::format("Progress being logged to {}", file.string()));
    return InstallLog(std::move(fd), reporter);
}

void InstallLog::say(const std::string& text) {
    reporter_->say(text);
    note(text);
}

void InstallLog::note(const std::string& text) {
    [[maybe_unused]] const Result<void> written =
        write_all(fd_.get(), as_bytes(text + "\n"), Deadline::never());
}

}  // namespace kz::client
