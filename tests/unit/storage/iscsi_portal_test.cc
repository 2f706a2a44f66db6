#include "storage/iscsi_portal.h"

#include <gmock/gmock.h>

using namespace kz;
using namespace kz::storage;

namespace {

TEST(IscsiPortal, ParsesAndRenders) {
    for (const auto& [text, rendered] : {std::pair{"storage1", "storage1:3260"},
                                         {"storage1:3261", "storage1:3261"},
                                         {"192.0.2.7", "192.0.2.7:3260"},
                                         {"[2001:db8::7]", "[2001:db8::7]:3260"},
                                         {"[::1]:65535", "[::1]:65535"}}) {
        const auto portal = parse_portal(text);
        ASSERT_TRUE(portal) << text;
        EXPECT_EQ(portal->text(), rendered);
        EXPECT_EQ(parse_portal(portal->text()).value(), *portal);
    }
}

TEST(IscsiPortal, RefusesWhatIsNone) {
    for (const std::string text :
         {"", ":3260", "host:", "host:0", "host:65536", "host:-1", "host:3260,1", "::1", "[::1", "[]",
          "[host]", "[::1]3260", "[::1]:", "ho st", "host/x", "user@host", "host\n", "[::1%eth0]"})
        EXPECT_FALSE(parse_portal(text)) << text;
    EXPECT_FALSE(parse_portal(std::string(254, 'a')));
    EXPECT_TRUE(parse_portal(std::string(253, 'a')));
}

TEST(IscsiPortal, WithoutAnAddressOfItsOwnATargetMeansTheOneAsked) {
    const IscsiPortal asked{.host = "192.0.2.7", .port = 3260};
    EXPECT_EQ(parse_listed_portal("192.0.2.8:3261,1", asked)->text(), "192.0.2.8:3261");
    EXPECT_EQ(parse_listed_portal("0.0.0.0:3261,1", asked)->text(), "192.0.2.7:3261");
    EXPECT_EQ(parse_listed_portal("[::]:3260,1", asked)->text(), "192.0.2.7:3260");
    EXPECT_FALSE(parse_listed_portal(",1", asked));
}

TEST(IscsiPortal, AddressesResolveToThemselves) {
    EXPECT_EQ(resolve({.host = "192.0.2.7", .port = 99}).value(),
              (std::vector<IscsiPortal>{{.host = "192.0.2.7", .port = 99}}));
    EXPECT_EQ(resolve({.host = "2001:db8::7", .port = 99}).value(),
              (std::vector<IscsiPortal>{{.host = "2001:db8::7", .port = 99}}));
    EXPECT_EQ(resolve({.host = "no-such-host.invalid", .port = 1}).error().code(), Errc::unavailable);
}

}  // namespace
