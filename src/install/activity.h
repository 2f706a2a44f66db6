// What a long installation tells its user, and how the user stops it. For the installers.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "os/deadline.h"
#include "os/process.h"

namespace kz::install {

struct Activity {
    std::function<void(std::string_view)> progress;  // one line without its end; may be empty
    int cancel_fd = -1;                              // readable: give up

    template <typename... Args>
    void say(fmt::format_string<Args...> format, Args&&... args) const {
        if (progress) progress(fmt::format(format, std::forward<Args>(args)...));
    }
    // Errc::cancelled when the user has given up.
    Result<void> check() const;
    // run_checked() with the C locale, ended by a cancel.
    Result<std::string> run(std::vector<std::string> argv, const Path& working_directory = "/") const;
};

}  // namespace kz::install
