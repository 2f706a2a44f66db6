#include "cli/escape.h"

#include <gtest/gtest.h>

#include <ostream>
#include <vector>

namespace kz::cli {
namespace {

struct EscapeCase {
    const char* name;
    char escape;
    std::vector<std::string> typed;  // each as one read from the terminal
    std::string passed;              // all that reaches the zone
    bool ended;
};

void PrintTo(const EscapeCase& test, std::ostream* out) {
    *out << test.name;
}

class EscapeTest : public testing::TestWithParam<EscapeCase> {};

TEST_P(EscapeTest, PassesWhatIsTheZones) {
    EscapeFilter filter(GetParam().escape);
    std::string passed;
    for (const std::string& typed : GetParam().typed)
        passed += filter.pass(typed);
    EXPECT_EQ(passed, GetParam().passed);
    EXPECT_EQ(filter.ended(), GetParam().ended);
}

INSTANTIATE_TEST_SUITE_P(
    Keys, EscapeTest,
    testing::Values(
        EscapeCase{"nothing", '~', {}, "", false}, EscapeCase{"text", '~', {"ls\r"}, "ls\r", false},
        EscapeCase{"at_the_very_start", '~', {"~."}, "", true},
        EscapeCase{"after_a_return", '~', {"ls\r~."}, "ls\r", true},
        EscapeCase{"after_a_newline", '~', {"ls\n~."}, "ls\n", true},
        EscapeCase{"key_by_key", '~', {"\r", "~", "."}, "\r", true},
        EscapeCase{"within_a_line", '~', {"a~."}, "a~.", false},
        EscapeCase{"after_a_blank", '~', {" ~."}, " ~.", false},
        EscapeCase{"held_back_alone", '~', {"~"}, "", false},
        EscapeCase{"twice_is_once", '~', {"~~."}, "~.", false},
        EscapeCase{"twice_then_a_new_line", '~', {"~~\r~."}, "~\r", true},
        EscapeCase{"another_key_frees_it", '~', {"~a"}, "~a", false},
        EscapeCase{"a_home_folder", '~', {"~/x\r"}, "~/x\r", false},
        EscapeCase{"escape_then_return", '~', {"~\r~."}, "~\r", true},
        EscapeCase{"what_follows_is_dropped", '~', {"a\r~.rm\r"}, "a\r", true},
        EscapeCase{"another_character", '%', {"~.\r%."}, "~.\r", true},
        EscapeCase{"switched_off", '\0', {"~.\r~."}, "~.\r~.", false},
        EscapeCase{
            "zero_bytes_with_escapes_off", '\0', {std::string("\0.", 2)}, std::string("\0.", 2), false},
        EscapeCase{"utf8", '~', {"\xc3\xa9\r~."}, "\xc3\xa9\r", true}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace kz::cli
