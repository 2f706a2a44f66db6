#include "cli/line_editor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kz::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(CompleteWord, InsertsWhatIsCertain) {
    EXPECT_EQ(complete_word("inf", {"info"}).insert, "o ");
    EXPECT_EQ(complete_word("info", {"info"}).insert, " ");
    EXPECT_EQ(complete_word("autob", {"autoboot="}).insert, "oot=") << "the value follows";
    EXPECT_EQ(complete_word("auto", {"autoboot=", "autobahn="}).insert, "b");
    EXPECT_THAT(complete_word("auto", {"autoboot=", "autobahn="}).shown, IsEmpty());
}

TEST(CompleteWord, ShowsTheChoicesWhenNothingIsCertain) {
    const Completion completion = complete_word("ex", {"exit", "export"});
    EXPECT_EQ(completion.insert, "");
    EXPECT_THAT(completion.shown, ElementsAre("exit", "export"));
}

TEST(CompleteWord, NothingFits) {
    EXPECT_EQ(complete_word("x", {}).insert, "");
    EXPECT_THAT(complete_word("x", {}).shown, IsEmpty());
}

}  // namespace
}  // namespace kz::cli
