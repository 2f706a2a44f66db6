// The dialogue of sysconfig create-profile: which questions there are, in which order, and what they make.
// For sysconfig. How they look is a SysconfigScreen's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "install/profile.h"

namespace kz::cli {

// What goes wrong and what was decided, never what is secret; a line each, with the time.
class SysconfigLog {
  public:
    static Result<SysconfigLog> create(const Path& file);
    void say(const std::string& text) const;

  private:
    explicit SysconfigLog(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

struct SysconfigField {
    std::string label;
    std::string value{};                 // what is there before, and what was answered
    std::vector<std::string> choices{};  // when there are any, value is one of them
    bool secret = false;
    // Of an answer that is not empty.
    std::function<Result<void>(const std::string&)> check{};
    bool may_be_empty = false;
};

struct SysconfigPage {
    std::string title;
    std::vector<std::string> text;  // paragraphs
    std::string help;
    std::vector<SysconfigField> fields{};
    // Of all answers together.
    std::function<Result<void>(const std::vector<SysconfigField>&)> check{};
    std::string next = "Continue";  // what going on is called
};

enum class SysconfigMove { next, back, quit };

// Shows pages. An answer is held to its field's check, and the page's, before it is taken.
class SysconfigScreen {
  public:
    virtual ~SysconfigScreen() = default;
    // Errors: Errc::cancelled when the user is gone or has interrupted.
    virtual Result<SysconfigMove> show(SysconfigPage& page) = 0;
};

// Shared by the screens: the first answer that cannot be taken, and why.
struct SysconfigFault {
    std::size_t field = 0;
    std::string message;
};
std::optional<SysconfigFault> find_fault(const SysconfigPage& page);

// A line of text for each question. Errors: Errc::unavailable without a terminal.
Result<std::unique_ptr<SysconfigScreen>> open_line_screen(int cancel_fd);
// The whole screen. Errors: Errc::unavailable when the terminal cannot place text.
Result<std::unique_ptr<SysconfigScreen>> open_full_screen(int cancel_fd);

using SysconfigNote = std::function<void(const std::string&)>;
// Asks on the terminal, on the whole of it when it can. Errors: Errc::cancelled when the user has given up.
Result<install::Profile> ask_for_profile(const SysconfigNote& note, int cancel_fd);

}  // namespace kz::cli
