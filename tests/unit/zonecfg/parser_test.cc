#include "zonecfg/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zonecfg/lexer.h"

namespace kz::zonecfg {
namespace {

using testing::SizeIs;

// A line as "verb|argument|argument;verb...", assignments as NAME=SOURCE; or the first line of the error.
std::string parsed(std::string_view line) {
    const auto commands = parse_line(line);
    if (!commands) return commands.error().message().substr(0, commands.error().message().find('\n'));
    std::string out;
    for (const Command& command : *commands) {
        if (!out.empty()) out += ';';
        out += info_of(command.verb).name;
        for (const Argument& argument : command.arguments) {
            out += '|' + argument.word;
            if (argument.is_assignment()) out += '=';
            if (argument.value) out += argument.value->source();
        }
    }
    return out;
}

TEST(Parser, WordsAndAssignments) {
    EXPECT_EQ(parsed("add device"), "add|device");
    EXPECT_EQ(parsed("  set   bootargs = quiet "), "set|bootargs=quiet");
    EXPECT_EQ(parsed("set storage=iscsi://h/target.iqn,lun.3"), "set|storage=iscsi://h/target.iqn,lun.3");
    EXPECT_EQ(parsed("select device id=0 bootpri=1"), "select|device|id=0|bootpri=1");
    EXPECT_EQ(parsed("select anet 0"), "select|anet|0");
    EXPECT_EQ(parsed("export -f /tmp/x"), "export|-f|/tmp/x");
}

TEST(Parser, Quotes) {
    EXPECT_EQ(parsed("set bootargs=\"a b=c;d\""), "set|bootargs=\"a b=c;d\"");
    EXPECT_EQ(parsed(R"(set bootargs="say \"hi\" \\ \n")"), R"(set|bootargs="say \"hi\" \\ \\n")");
    EXPECT_EQ(parsed("set bootargs=a=b"), "set|bootargs=\"a=b\"");
    EXPECT_EQ(parsed("set bootargs="), "set|bootargs=\"\"");
    EXPECT_EQ(parsed("set bootargs=\"\""), "set|bootargs=\"\"");
}

TEST(Parser, ListsAndComplexValues) {
    EXPECT_EQ(parsed("add value (priv=privileged,limit=1,action=none)"),
              "add|value|(priv=privileged,limit=1,action=none)");
    EXPECT_EQ(parsed("set cert=[ a , \"b c\" ]"), "set|cert=[a,\"b c\"]");
    EXPECT_EQ(parsed("set cert=[]"), "set|cert=[]");
    EXPECT_EQ(parsed("set value=[(a=1),(b=2,c=3)]"), "set|value=[(a=1),(b=2,c=3)]");
}

TEST(Parser, SeveralCommandsAndComments) {
    EXPECT_EQ(parsed("create -b; set brand=linux-kz ;; add device;"),
              "create|-b;set|brand=linux-kz;add|device");
    EXPECT_EQ(parsed("# it's a comment"), "");
    EXPECT_EQ(parsed("verify; # and \"more"), "verify");
    EXPECT_EQ(parsed("set bootargs=#1"), "set|bootargs=#1");
    EXPECT_EQ(parsed(""), "");
}

TEST(Parser, SyntaxErrors) {
    EXPECT_EQ(parsed("bogus"), "syntax error at 'bogus'");
    EXPECT_EQ(parsed("verify; bogus"), "syntax error at 'bogus'");
    EXPECT_EQ(parsed("=x"), "syntax error at '='");
    EXPECT_EQ(parsed("set ==x"), "syntax error at '='");
    EXPECT_EQ(parsed("set bootargs=\"open"), "syntax error at '\"open'");
    EXPECT_EQ(parsed("set bootargs=\"a\"b"), "syntax error at '\"a\"b'");
    EXPECT_EQ(parsed("set bootargs=a\"b\""), "syntax error at 'a\"b\"'");
    EXPECT_EQ(parsed("set cert=[a"), "syntax error at 'end of line'");
    EXPECT_EQ(parsed("set cert=[a)"), "syntax error at ')'");
    EXPECT_EQ(parsed("set cert=[a;b]"), "syntax error at ';b]'");
    EXPECT_EQ(parsed("set value=(a)"), "syntax error at ')'");
    EXPECT_EQ(parsed("set value=()"), "syntax error at ')'");
    EXPECT_EQ(parsed("set cert=[[a]]"), "syntax error at '['");
    EXPECT_EQ(parsed("set \"\"=x"), "syntax error at 'x'");
    EXPECT_EQ(parsed("set a=\x01"), "syntax error at 'control character'");
    EXPECT_EQ(parsed("set a=\"\x7f\""), "syntax error at 'control character'");
    EXPECT_EQ(parsed(std::string(kMaxLine + 1, 'a')), "syntax error: the line is too long");
}

TEST(Parser, UnknownVerbGetsAHint) {
    EXPECT_EQ(parse_line("bogus").error().message(),
              "syntax error at 'bogus'\nUse 'help' for a list of the commands.");
}

TEST(Verbs, TableFollowsTheEnum) {
    EXPECT_THAT(verbs(), SizeIs(static_cast<std::size_t>(Verb::verify)));
    for (const VerbInfo& verb : verbs()) {
        EXPECT_EQ(&info_of(verb.verb), &verb);
        EXPECT_EQ(find_verb(verb.name), &verb);
        EXPECT_TRUE(verb.usage.starts_with(verb.name)) << verb.name;
        EXPECT_FALSE(verb.help.empty()) << verb.name;
    }
    EXPECT_EQ(find_verb("frobnicate"), nullptr);
}

}  // namespace
}  // namespace kz::zonecfg
