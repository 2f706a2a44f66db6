#include "rad/router.h"

#include <gtest/gtest.h>

namespace kz::rad {
namespace {

Handler naming(std::string name) {
    return [name](Request&) -> Result<Json> { return Json(name); };
}

class Routes : public testing::Test {
  protected:
    Routes() {
        router_.add("GET", "/api/1/zones", {Need::view}, naming("list"));
        router_.add("GET", "/api/1/zones/{zone}", {Need::view}, naming("show"));
        router_.add("POST", "/api/1/zones/{zone}/boot", {Need::view}, naming("boot"));
    }
    Errc code(std::string_view method, std::string_view path) {
        return router_.match(method, path).error().code();
    }
    Router router_;
};

TEST_F(Routes, PathsAreMatchedSegmentBySegment) {
    EXPECT_TRUE(router_.match("GET", "/api/1/zones").has_value());
    EXPECT_EQ(router_.match("GET", "/api/1/zones/ant1").value().parameters.at("zone"), "ant1");
    EXPECT_EQ(router_.match("POST", "/api/1/zones/a%20b/boot").value().parameters.at("zone"), "a b");
    // An escaped slash is part of the name, not a separator.
    EXPECT_EQ(router_.match("GET", "/api/1/zones/a%2fb").value().parameters.at("zone"), "a/b");
}

TEST_F(Routes, OtherPathsAndMethodsAreToldApart) {
    EXPECT_EQ(code("GET", "/api/1/zone"), Errc::not_found);
    EXPECT_EQ(code("GET", "/api/1/zones/"), Errc::not_found);
    EXPECT_EQ(code("GET", "/api/1/zones/ant1/"), Errc::not_found);
    EXPECT_EQ(code("GET", "/api/1//zones"), Errc::not_found);
    EXPECT_EQ(code("GET", ""), Errc::not_found);
    EXPECT_EQ(code("GET", "*"), Errc::not_found);
    EXPECT_EQ(code("DELETE", "/api/1/zones"), Errc::unsupported);
    EXPECT_EQ(code("GET", "/api/1/zones/ant1/boot"), Errc::unsupported);
}

TEST_F(Routes, BrokenEscapesAreRefused) {
    for (const std::string_view path :
         {"/api/1/zones/%", "/api/1/zones/%4", "/api/1/zones/%zz", "/api/1/zones/%00"})
        EXPECT_EQ(code("GET", path), Errc::invalid_argument) << path;
}

TEST(Query, IsDecoded) {
    const auto query = parse_query("a=1&b=x%3Dy&c&a=2&d=p=q").value();
    EXPECT_EQ(query.at("a"), "2");
    EXPECT_EQ(query.at("b"), "x=y");
    EXPECT_EQ(query.at("c"), "");
    EXPECT_EQ(query.at("d"), "p=q");
    EXPECT_TRUE(parse_query("").value().empty());
    EXPECT_FALSE(parse_query("a=%g0").has_value());
}

TEST(Statuses, EveryErrorIsOne) {
    for (int code = 1; code <= static_cast<int>(Errc::internal); ++code) {
        const unsigned status = http_status(static_cast<Errc>(code));
        EXPECT_GE(status, 400U);
        EXPECT_LT(status, 600U);
    }
    EXPECT_EQ(http_status(Errc::not_found), 404U);
    EXPECT_EQ(http_status(Errc::permission), 403U);
    EXPECT_EQ(http_status(Errc::wrong_state), 409U);
}

}  // namespace
}  // namespace kz::rad
