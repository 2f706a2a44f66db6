#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kz {
namespace {

using testing::HasSubstr;

TEST(Json, RefusesWhatIsNot) {
    for (const char* text : {"", "{", "{\"a\":}", "[1,]", "{} x", "\"\xff\"", "1e999", "nul"}) {
        const Result<Json> value = parse_json(text);
        EXPECT_EQ(value ? Errc{} : value.error().code(), Errc::corrupt) << text;
    }
    EXPECT_THAT(parse_json("[1, x]").error().message(), HasSubstr("byte 5"));
}

TEST(Json, DepthIsLimited) {
    const auto nested = [](int depth) {
        return std::string(static_cast<std::size_t>(depth), '[') +
               std::string(static_cast<std::size_t>(depth), ']');
    };
    EXPECT_TRUE(parse_json(nested(kMaxJsonDepth)));
    EXPECT_THAT(parse_json(nested(kMaxJsonDepth + 2)).error().message(), HasSubstr("nested deeper"));
    EXPECT_FALSE(parse_json(nested(1'000'000)));
    EXPECT_FALSE(parse_json(std::string(1'000'000, '[')));
    std::string objects;
    for (int i = 0; i < 100'000; ++i)
        objects += "{\"a\":";
    EXPECT_FALSE(parse_json(objects));
}

TEST(Json, RenderNeverThrows) {
    EXPECT_EQ(render_json(Json("\xff")), "\"\xef\xbf\xbd\"");
    EXPECT_EQ(render_json(Json{{"b", 1}, {"a", 2}}), R"({"a":2,"b":1})");
}

TEST(Json, FieldsAreChecked) {
    const Json object =
        *parse_json(R"({"t":"x","n":18446744073709551615,"neg":-1,"f":1.5,"yes":true,"o":{},"nil":null})");
    EXPECT_EQ(json_text(object, "t"), "x");
    EXPECT_EQ(json_u64(object, "n"), UINT64_MAX);
    EXPECT_EQ(json_bool(object, "yes"), true);
    EXPECT_EQ(json_text(object, "n").error().message(), "field 'n' is missing or not a text");
    EXPECT_EQ(json_text(object, "none").error().code(), Errc::corrupt);
    for (const char* key : {"neg", "f", "t", "nil"})
        EXPECT_FALSE(json_u64(object, key)) << key;
    EXPECT_EQ(*json_optional_text(object, "nil"), std::nullopt);
    EXPECT_EQ(*json_optional_text(object, "t"), "x");
    EXPECT_FALSE(json_optional_text(object, "n"));
    EXPECT_EQ(*json_optional_u64(object, "none"), std::nullopt);
    EXPECT_FALSE(json_optional_u64(object, "neg"));
    EXPECT_EQ(*json_optional_object(object, "none"), nullptr);
    EXPECT_NE(*json_optional_object(object, "o"), nullptr);
    EXPECT_FALSE(json_optional_object(object, "t"));
    EXPECT_FALSE(json_text(Json::array(), "t"));
}

}  // namespace
}  // namespace kz
