#include "cli/terminal.h"

#include <unistd.h>

namespace kz::cli {

RawTerminal::RawTerminal() {
    termios settings{};
    if (::tcgetattr(STDIN_FILENO, &settings) < 0) return;
    saved_ = settings;
    ::cfmakeraw(&settings);
    // What the zone writes has its own line ends; what we write between does not.
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &settings);
}

RawTerminal::~RawTerminal() {
    if (saved_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &*saved_);
}

}  // namespace kz::cli
