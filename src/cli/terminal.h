// RawTerminal: the user's terminal handed to a zone's console. For zlogin.
#pragma once

#include <termios.h>

#include <optional>
#include <string_view>

namespace kz::cli {

// Every key goes to the zone while it lives; restored on destruction. Does nothing when stdin is no terminal.
class RawTerminal {
  public:
    RawTerminal();
    ~RawTerminal();
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    // How a line of ours ends meanwhile.
    std::string_view line_end() const { return saved_ ? "\r\n" : "\n"; }

  private:
    std::optional<termios> saved_;
};

}  // namespace kz::cli
