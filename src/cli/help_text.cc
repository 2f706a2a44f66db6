#include "cli/help_text.h"

#include <fmt/format.h>

#include "base/text.h"

namespace kz::cli {
namespace {

std::string_view without_indent(std::string_view line) {
    const auto begin = line.find_first_not_of("\t ");
    return begin == std::string_view::npos ? std::string_view{} : line.substr(begin);
}

std::string indented(std::string_view text, std::string_view first, std::string_view others) {
    std::string out;
    for (const std::string& line : split(text, '\n'))
        out += fmt::format("{}{}\n", out.empty() ? first : others, without_indent(line));
    return out;
}

}  // namespace

bool asks_for_help(int argc, char** argv) {
    return argc == 2 && std::string_view(argv[1]) == "--help";
}

int show_help(std::string_view usage, std::string_view help) {
    fmt::print("{}{}", usage, help);
    return 0;
}

int show_usage(std::string_view usage) {
    fmt::print(stderr, "{}", usage);
    return 2;
}

std::string help_entry(std::string_view usage, std::string_view description) {
    return indented(usage, "", "\t    ") + indented(description, "\t", "\t");
}

}  // namespace kz::cli
