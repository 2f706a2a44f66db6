// Error: what failed, as a value that travels up through the layers.
//
// For every floor. A function that can fail returns Result<T> (base/result.h). The layer that meets the cause
// makes the Error; each layer above adds its context once with context(); only the edge (a command's main, a
// REST reply, the monitor's log) prints the whole chain, once, as "outermost: ...: cause".
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace kz {

// The kind of a failure: what a caller may act upon. Append only; 0 is never a valid value (it is sent to
// peers).
enum class Errc {
    invalid_argument = 1,
    not_found,
    already_exists,
    wrong_state,
    permission,
    busy,
    io,
    protocol,
    timeout,
    cancelled,
    unsupported,
    no_space,
    corrupt,
    unavailable,
    internal,
};

// The stable name used in JSON ("not_found"); errc_from_name answers Errc::internal for names it does not
// know.
std::string_view errc_name(Errc code);
Errc errc_from_name(std::string_view name);

class [[nodiscard]] Error {
  public:
    Error(Errc code, std::string message) : code_(code), message_(std::move(message)) {}

    template <typename... Args>
    static Error make(Errc code, fmt::format_string<Args...> format, Args&&... args) {
        return Error(code, fmt::format(format, std::forward<Args>(args)...));
    }

    // From an errno value: the message is "what: strerror". ENOENT, EACCES, ENOSPC... choose the code.
    static Error from_errno(int sys_errno, std::string_view what);

    // Puts "outer: " in front of the message.
    Error context(std::string_view outer) &&;
    // Puts a further sentence after the message: what state things are in now.
    Error append(std::string_view sentence) &&;

    Errc code() const { return code_; }
    // The errno that caused it, 0 when there was none.
    int sys_errno() const { return sys_errno_; }
    const std::string& message() const { return message_; }

  private:
    Errc code_;
    int sys_errno_ = 0;
    std::string message_;
};

}  // namespace kz
