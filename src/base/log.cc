#include "base/log.h"

#include <fmt/chrono.h>

#include <chrono>

namespace kz {

std::string utc_timestamp() {
    const auto now = std::chrono::system_clock::now();
    const auto millis =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)),
                       millis);
}

void Log::line(std::string_view text) {
    const std::string whole = fmt::format("{} {}: {}\n", utc_timestamp(), tag_, text);
    const std::lock_guard lock(mutex_);
    if (fd_) {
        // A log that cannot be written must not stop a zone.
        [[maybe_unused]] const ssize_t written = ::write(fd_.get(), whole.data(), whole.size());
    }
}

}  // namespace kz
