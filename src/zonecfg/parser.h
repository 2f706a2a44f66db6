// Parser of the zonecfg language: a line into commands. For zonecfg.
//
//   line      := [ command { ';' command } ] [ '#' comment ]
//   command   := verb { argument }
//   argument  := word | word '=' value | complex | list
//   value     := word | complex | list
//   complex   := '(' word '=' word { ',' word '=' word } ')'
//   list      := '[' [ item { ',' item } ] ']'        item := word | complex
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "zonecfg/command.h"

namespace kz::zonecfg {

// The whole line is parsed before any of it is carried out. Errors: Errc::invalid_argument,
// "syntax error at 'TEXT'"; an unknown verb adds a second line.
Result<std::vector<Command>> parse_line(std::string_view line);

}  // namespace kz::zonecfg
