// How the commands print the help of a sub-command. For cli; tools/make-docs reads it and makes the man pages
// and the completions of shells from it, so its form binds.
#pragma once

#include <string>
#include <string_view>

namespace kz::cli {

// PROGRAM --help
bool asks_for_help(int argc, char** argv);

// The answers of a main function to that, and to words that it does not understand: each prints its text and
// returns the exit status.
int show_help(std::string_view usage, std::string_view help);
int show_usage(std::string_view usage);

// The usage at the margin, its further lines behind a tab and four blanks; below it the description, each
// line behind a tab. Both may hold line breaks with or without tabs after them.
std::string help_entry(std::string_view usage, std::string_view description);

}  // namespace kz::cli
