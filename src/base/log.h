// Log: a line sink that is passed to those who may write to it. For daemons and commands (the edges); library
// code returns errors and does not log.
#pragma once

#include <fmt/format.h>

#include <mutex>
#include <string_view>
#include <utility>

#include "base/fd.h"

namespace kz {

// Thread-safe. Each line is written with one write(2): "2026-11-22T02:30:00.123Z tag: text".
class Log {
  public:
    // Writes to fd, which it owns; an empty fd drops everything.
    Log(UniqueFd fd, std::string tag) : fd_(std::move(fd)), tag_(std::move(tag)) {}

    void line(std::string_view text);

    template <typename... Args>
    void info(fmt::format_string<Args...> format, Args&&... args) {
        line(fmt::format(format, std::forward<Args>(args)...));
    }
    template <typename... Args>
    void error(fmt::format_string<Args...> format, Args&&... args) {
        line("error: " + fmt::format(format, std::forward<Args>(args)...));
    }

  private:
    std::mutex mutex_;
    UniqueFd fd_;
    std::string tag_;
};

// Now, as "2026-11-22T02:30:00.123Z".
std::string utc_timestamp();

}  // namespace kz
