// Questions on the terminal of a command: a line, and a password that is not shown. For src/cli.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "base/secret.h"

namespace kz::cli {

// The user's terminal, whatever standard output and error are; nothing when standard input is none: a script
// is asked nothing.
class QuestionTerminal {
  public:
    // Errors: Errc::unavailable without a terminal.
    static Result<QuestionTerminal> open();
    // For tests: another terminal.
    explicit QuestionTerminal(UniqueFd terminal) : terminal_(std::move(terminal)) {}

    // Shows the prompt and reads a line, without its end. Errors: Errc::cancelled when cancel_fd becomes
    // readable (the terminal is as before), or at the end of the input.
    Result<std::string> ask(std::string_view prompt, int cancel_fd) const;
    // The same without showing what is typed. Longer than a password may be: Errc::invalid_argument.
    Result<Secret> ask_password(std::string_view prompt, int cancel_fd) const;

  private:
    Result<Secret> read_line(std::string_view prompt, std::size_t longest, int cancel_fd) const;
    UniqueFd terminal_;
};

}  // namespace kz::cli
