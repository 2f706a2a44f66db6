#include "cli/extra_options.h"

#include <gtest/gtest.h>

namespace kz::cli {
namespace {

class ExtraOptions : public testing::Test {
  protected:
    std::string message(std::string_view text) {
        const Result<void> taken = take_extra_option(options_, text);
        return taken ? "" : taken.error().message();
    }
    Result<void> keep(const std::string& value) {
        if (value == "bad") return fail(Errc::invalid_argument, "no good");
        kept_ += "<" + value + ">";
        return {};
    }

    bool flag_ = false;
    std::string kept_;
    std::vector<ExtraOption> options_{
        extra_flag("force", flag_),
        {"size", "SIZE", false, [this](const std::string& value) { return keep(value); }},
        {"ids", "ID,...", true, [this](const std::string& value) { return keep(value); }}};
};

TEST_F(ExtraOptions, AreTaken) {
    EXPECT_EQ(message("force"), "");
    EXPECT_TRUE(flag_);
    EXPECT_EQ(message("size=8G"), "");
    EXPECT_EQ(message("ids"), "");
    EXPECT_EQ(message("ids=1,2"), "");
    EXPECT_EQ(kept_, "<8G><><1,2>");
}

TEST_F(ExtraOptions, UnknownOnesAreAnsweredWithTheList) {
    EXPECT_EQ(message("magic=1"),
              "-x magic: there is no such option; there are: force, size=SIZE, ids[=ID,...]");
    EXPECT_EQ(take_extra_option(options_, "").error().code(), Errc::not_found);
}

TEST_F(ExtraOptions, ValuesWhereTheyBelong) {
    EXPECT_EQ(message("force=yes"), "-x force: takes no value");
    EXPECT_EQ(message("force="), "-x force: takes no value");
    EXPECT_EQ(message("size"), "-x size=SIZE: a value is missing");
    EXPECT_EQ(message("size="), "-x size=SIZE: a value is missing");
    EXPECT_EQ(message("ids="), "-x ids[=ID,...]: a value is missing");
    EXPECT_EQ(message("size=bad"), "-x size: no good");
    EXPECT_FALSE(flag_);
    EXPECT_EQ(kept_, "");
}

}  // namespace
}  // namespace kz::cli
