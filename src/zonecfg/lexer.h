// Lexer of the zonecfg language: one line of input into tokens. For zonecfg only.
//
//   set storage=iscsi://host/target.iqn,lun.3; add cert ["a b",c]    # not a comment, but:
//   # a comment: '#' where a command may begin, up to the end of the line
//
// At the top a word ends at a blank, ';', '=' or '"'; behind the '=' of a property it may hold further '='.
// Inside
// (...) and [...] it also ends at ',' and at a bracket. Values with such characters are written in double
// quotes, in which \" and \\ stand for themselves without the backslash.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kz::zonecfg {

// No line of input may be longer (bytes).
inline constexpr std::size_t kMaxLine = 64 * 1024;

struct Token {
    enum class Kind { word = 1, quoted, punctuation };
    Kind kind = Kind::word;
    std::string text;

    bool is(char punctuation) const { return kind == Kind::punctuation && text.front() == punctuation; }
    bool is_text() const { return kind != Kind::punctuation; }
};

// Errors: Errc::invalid_argument, "syntax error at 'TEXT'".
Result<std::vector<Token>> lex(std::string_view line);

}  // namespace kz::zonecfg
