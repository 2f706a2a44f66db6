#include "migrate/peer_address.h"

#include <gtest/gtest.h>

namespace kz::migrate {
namespace {

struct Good {
    const char* text;
    PeerAddress address;
    const char* rendered;
    const char* known_as;  // null: not asked
};

class GoodAddress : public testing::TestWithParam<Good> {};

TEST_P(GoodAddress, IsParsedAndRendered) {
    const auto address = PeerAddress::parse(GetParam().text);
    ASSERT_TRUE(address.has_value()) << address.error().message();
    EXPECT_EQ(*address, GetParam().address);
    EXPECT_EQ(address->render(), GetParam().rendered);
    if (GetParam().known_as != nullptr) {
        EXPECT_EQ(address->known_hosts_name(), GetParam().known_as);
    }
    EXPECT_EQ(PeerAddress::parse(address->render()).value(), *address);
}

INSTANTIATE_TEST_SUITE_P(
    Addresses, GoodAddress,
    testing::Values(
        Good{"node2", {"", "node2", 12302}, "rads://node2", "node2"},
        Good{"Node2.Example", {"", "node2.example", 12302}, "rads://node2.example", "node2.example"},
        Good{"rads://node2", {"", "node2", 12302}, "rads://node2", "node2"},
        Good{"root@node2:99", {"root", "node2", 99}, "rads://root@node2:99", "[node2]:99"},
        Good{"RADS://Admin@192.0.2.1:12302",
             {"Admin", "192.0.2.1", 12302},
             "rads://Admin@192.0.2.1",
             "192.0.2.1"},
        Good{"[2001:db8::1]", {"", "2001:db8::1", 12302}, "rads://[2001:db8::1]", "2001:db8::1"},
        Good{"a@[fe80::1%eth0]:7", {"a", "fe80::1%eth0", 7}, "rads://a@[fe80::1%eth0]:7", "[fe80::1%eth0]:7"},
        Good{"ssh://node2", {"", "node2", 0, PeerScheme::ssh}, "ssh://node2", nullptr},
        Good{"SSH://Root@Alias-2:22",
             {"Root", "Alias-2", 22, PeerScheme::ssh},
             "ssh://Root@Alias-2:22",
             nullptr},
        Good{"ssh://[2001:db8::1]:2222",
             {"", "2001:db8::1", 2222, PeerScheme::ssh},
             "ssh://[2001:db8::1]:2222",
             nullptr}));

struct Bad {
    const char* text;
    Errc code;
    const char* says;
};

class BadAddress : public testing::TestWithParam<Bad> {};

TEST_P(BadAddress, IsRefusedWithAReason) {
    const auto address = PeerAddress::parse(GetParam().text);
    ASSERT_FALSE(address.has_value());
    EXPECT_EQ(address.error().code(), GetParam().code);
    EXPECT_NE(address.error().message().find(GetParam().says), std::string::npos)
        << address.error().message();
}

INSTANTIATE_TEST_SUITE_P(Addresses, BadAddress,
                         testing::Values(Bad{"", Errc::invalid_argument, "empty"},
                                         Bad{"rads://", Errc::invalid_argument, "empty"},
                                         Bad{"@node2", Errc::invalid_argument, "user"},
                                         Bad{"a b@node2", Errc::invalid_argument, "user"},
                                         Bad{"node2:", Errc::invalid_argument, "port"},
                                         Bad{"node2:0", Errc::invalid_argument, "port"},
                                         Bad{"node2:65536", Errc::invalid_argument, "port"},
                                         Bad{"node2:1x", Errc::invalid_argument, "port"},
                                         Bad{"2001:db8::1", Errc::invalid_argument, "brackets"},
                                         Bad{"[2001:db8::1", Errc::invalid_argument, "']'"},
                                         Bad{"[node2]", Errc::invalid_argument, "character"},
                                         Bad{"[::1]junk", Errc::invalid_argument, "brackets"},
                                         Bad{"-oProxyCommand=x", Errc::invalid_argument, "character"},
                                         Bad{"node2/x", Errc::invalid_argument, "character"},
                                         Bad{"ssh://", Errc::invalid_argument, "empty"},
                                         Bad{"ssh://-oProxyCommand=x", Errc::invalid_argument, "character"},
                                         Bad{"ssh://-oProxyCommand@h", Errc::invalid_argument, "user"},
                                         Bad{"ssh://h:0", Errc::invalid_argument, "port"},
                                         Bad{"http://node2", Errc::unsupported, "unknown scheme 'http'"}));

TEST(PeerAddressTest, AnEndlessNameIsRefused) {
    EXPECT_EQ(PeerAddress::parse(std::string(300, 'a')).error().code(), Errc::invalid_argument);
    EXPECT_EQ(PeerAddress::parse(std::string(100'000, 'a')).error().code(), Errc::invalid_argument);
}

}  // namespace
}  // namespace kz::migrate
