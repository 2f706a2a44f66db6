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

using Teller = std::function<void(std::string_view)>;

struct Activity {
    Teller progress;     // one line without its end; may be empty
    int cancel_fd = -1;  // readable: give up
    Teller detail{};     // lines for the log alone; may be empty

    template <typename... Args>
    void say(fmt::format_string<Args...> format, Args&&... args) const {
        if (progress) progress(fmt::format(format, std::forward<Args>(args)...));
    }
    // Errc::cancelled when the user has given up.
    Result<void> check() const;
    // run_checked() with the C locale, ended by a cancel.
    Result<std::string> run(std::vector<std::string> argv, const Path& working_directory = "/") const;
    // The same with further options; `cancel_fd` and the locale are set here.
    Result<std::string> run(std::vector<std::string> argv, CommandOptions options) const;
    // For a program that takes minutes: each line of what it says, on stdout and stderr, is told as it comes.
    // A status other than 0 is Errc::io.
    Result<void> run_telling(std::vector<std::string> argv, CommandOptions options, const Teller& line) const;
    // Each line of the text is detail.
    void note(std::string_view text) const;
};

}  // namespace kz::install
