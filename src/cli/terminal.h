// RawTerminal: the user's terminal handed to a zone's console. For zlogin.
#pragma once

#include <termios.h>

#include <optional>

namespace kz::cli {

// Every key goes to the zone while it lives; restored on destruction. Does nothing when stdin is no terminal.
class RawTerminal {
  public:
    RawTerminal();
    ~RawTerminal();
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

  private:
    std::optional<termios> saved_;
};

}  // namespace kz::cli
