#include "cli/escape.h"

namespace kz::cli {

std::string EscapeFilter::pass(std::string_view typed) {
    std::string out;
    for (const char c : typed) {
        if (held_) {
            held_ = false;
            if (c == '.') {
                ended_ = true;
                return out;
            }
            out += escape_;
            // The escape character twice is that character once.
            if (c == escape_) {
                at_line_start_ = false;
                continue;
            }
        } else if (at_line_start_ && escape_ != '\0' && c == escape_) {
            held_ = true;
            continue;
        }
        out += c;
        at_line_start_ = c == '\r' || c == '\n';
    }
    return out;
}

}  // namespace kz::cli
