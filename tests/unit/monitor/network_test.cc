#include <gtest/gtest.h>
#include <sched.h>

#include <set>
#include <thread>

#include "monitor/machine.h"

namespace kz::monitor {
namespace {

zone::Config config(const std::string& name, const std::string& hostid) {
    zone::Config made(name);
    if (!hostid.empty()) {
        EXPECT_TRUE(made.set_global("hostid", hostid).has_value());
    }
    return made;
}

zone::Anet anet(unsigned id, const std::string& mac = "auto") {
    zone::Anet made;
    made.id = id;
    made.mac_address = mac;
    return made;
}

// Computed by another program. Guests, switches and licences know these addresses: they must never change.
TEST(MacTest, GoldenValues) {
    EXPECT_EQ(mac_of(config("ant1", "0x2e7d2173"), anet(0)), "02:08:20:79:29:56");
    EXPECT_EQ(mac_of(config("ant1", "0x2e7d2173"), anet(1)), "02:08:20:78:e9:2f");
    EXPECT_EQ(mac_of(config("ant1", ""), anet(0)), "02:08:20:6c:ef:d6");
    EXPECT_EQ(mac_of(config("ant1", ""), anet(0, "")), "02:08:20:6c:ef:d6");
}

TEST(MacTest, StaysWhenTheZoneIsRenamed) {
    EXPECT_EQ(mac_of(config("ant1", "0x2e7d2173"), anet(0)), mac_of(config("bee", "0x2e7d2173"), anet(0)));
}

TEST(MacTest, AConfiguredAddressCounts) {
    EXPECT_EQ(mac_of(config("ant1", "0x1"), anet(0, "02:08:20:aa:bb:cc")), "02:08:20:aa:bb:cc");
}

// Files of running machines belong to these users: the values must never change.
TEST(MachineUidTest, GoldenValues) {
    EXPECT_EQ(machine_uid("69ed2e6a-e25a-4d36-a022-ed7261ed8899"), 1902218197U);
    EXPECT_EQ(machine_uid("00000000-0000-4000-8000-000000000000"), 2127218601U);
}

TEST(MachineUidTest, LiesInTheRangeThatNobodyElseUses) {
    std::set<uid_t> uids;
    for (int i = 0; i < 1000; ++i) {
        const uid_t uid = machine_uid(fmt::format("zone {}", i));
        EXPECT_GE(uid, 0x70000000U);
        EXPECT_LT(uid, 0x80000000U);
        uids.insert(uid);
    }
    EXPECT_EQ(uids.size(), 1000U);
}

TEST(BridgeTest, ALowerLinkThatIsMissingIsNamed) {
    zone::Anet wanted = anet(3);
    wanted.lower_link = "nosuch0";
    const auto bridge = bridge_for(wanted);
    ASSERT_FALSE(bridge.has_value());
    EXPECT_EQ(bridge.error().code(), Errc::not_found);
    EXPECT_EQ(bridge.error().message(), "anet 3: lower-link 'nosuch0' does not exist on this host");
}

TEST(BridgeTest, ALowerLinkThatIsNoBridgeIsRefused) {
    zone::Anet wanted = anet(0);
    wanted.lower_link = "lo";  // every host has it
    const auto bridge = bridge_for(wanted);
    ASSERT_FALSE(bridge.has_value());
    EXPECT_EQ(bridge.error().code(), Errc::invalid_argument);
    EXPECT_EQ(bridge.error().message(),
              "anet 0: lower-link 'lo' is not a bridge; make a bridge, add lo to it, and name the bridge");
}

TEST(ConnectionTest, Texts) {
    EXPECT_EQ((AnetConnection{0, "", {}}).text(), "user-mode networking");
    EXPECT_EQ((AnetConnection{0, "kzbr0", {}}).text(), "bridge kzbr0");
    EXPECT_EQ((AnetConnection{0, "kzbr0", 10}).text(), "bridge kzbr0, VLAN 10");
    EXPECT_FALSE((AnetConnection{0, "", {}}).survives_move());
    EXPECT_TRUE((AnetConnection{0, "kzbr0", 10}).survives_move());
}

// On a thread that sees no interface but its own lo.
TEST(ConnectionTest, WithoutABridge) {
    std::thread([] {
        if (::unshare(CLONE_NEWNET) < 0) GTEST_SKIP() << "needs the right to make a network namespace";
        zone::Anet wanted = anet(2);
        EXPECT_EQ(connection_of(wanted).value(), (AnetConnection{2, "", {}}));
        wanted.vlan_id = 0;  // no VLAN
        EXPECT_EQ(connection_of(wanted).value(), (AnetConnection{2, "", {}}));
        wanted.vlan_id = 10;
        const auto refused = connection_of(wanted);
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code(), Errc::unsupported);
        EXPECT_EQ(refused.error().message(),
                  "anet 2: VLAN 10 needs a bridge, and this host has none; make one, or clear vlan-id");
    }).join();
}

TEST(AnnounceTest, Times) {
    const AnnounceTimes times;
    std::vector<long> pauses;
    for (unsigned done = 1; done < times.rounds; ++done)
        pauses.push_back(static_cast<long>(times.pause_after(done).count()));
    EXPECT_EQ(pauses, (std::vector<long>{50, 150, 250, 350, 450, 550, 550, 550, 550}));
}

}  // namespace
}  // namespace kz::monitor
