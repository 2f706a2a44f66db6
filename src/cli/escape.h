// EscapeFilter: finds "~." at the start of a line among what a user types. For zlogin.
#pragma once

#include <string>
#include <string_view>

namespace kz::cli {

class EscapeFilter {
  public:
    // '\0' switches the escape off.
    explicit EscapeFilter(char escape) : escape_(escape) {}

    // What of `typed` goes to the zone. An escape character at the start of a line is held back until the
    // next one shows what it means.
    std::string pass(std::string_view typed);
    // "~." was typed.
    bool ended() const { return ended_; }

  private:
    char escape_;
    bool at_line_start_ = true;
    bool held_ = false;
    bool ended_ = false;
};

}  // namespace kz::cli
