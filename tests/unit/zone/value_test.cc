#include "zone/value.h"

#include <gtest/gtest.h>

namespace kz::zone {
namespace {

std::string simple(std::string text) {
    return PropertyValue(std::move(text)).source();
}

TEST(PropertyValue, QuotesOnlyWhereNeeded) {
    EXPECT_EQ(simple("4G"), "4G");
    EXPECT_EQ(simple("iscsi://host/target.iqn,lun.3"), "iscsi://host/target.iqn,lun.3");
    EXPECT_EQ(simple("a(b)[c]"), "a(b)[c]");
    EXPECT_EQ(simple("two words"), "\"two words\"");
    EXPECT_EQ(simple("console=hvc0"), "\"console=hvc0\"");
    EXPECT_EQ(simple("a;b"), "\"a;b\"");
    EXPECT_EQ(simple("(x"), "\"(x\"");
    EXPECT_EQ(simple("[x"), "\"[x\"");
    EXPECT_EQ(simple(""), "\"\"");
}

TEST(PropertyValue, EscapesInsideQuotes) {
    EXPECT_EQ(simple("say \"hi\""), R"("say \"hi\"")");
    EXPECT_EQ(simple(R"(a \ b)"), R"("a \\ b")");
    EXPECT_EQ(simple(R"(a\b)"), R"(a\b)");
}

TEST(PropertyValue, ListsAndComplexValues) {
    const ComplexValue complex{{"priv", "privileged"}, {"limit", "10"}, {"action", "none"}};
    EXPECT_EQ(PropertyValue(complex).source(), "(priv=privileged,limit=10,action=none)");
    EXPECT_EQ(PropertyValue(ListValue{}).source(), "[]");
    EXPECT_EQ(PropertyValue(ListValue{std::string("a,b"), std::string("c"), complex}).source(),
              "[\"a,b\",c,(priv=privileged,limit=10,action=none)]");
}

TEST(PropertyValue, DisplayIsPlainForSimpleValues) {
    EXPECT_EQ(PropertyValue(std::string("two words")).display(), "two words");
    EXPECT_EQ(PropertyValue(ListValue{std::string("x")}).display(), "[x]");
}

}  // namespace
}  // namespace kz::zone
