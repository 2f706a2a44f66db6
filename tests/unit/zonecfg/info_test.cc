#include "zonecfg/info.h"

#include <gtest/gtest.h>

#include "fake_environment.h"
#include "zonecfg/parse_export.h"

namespace kz::zonecfg {
namespace {

TEST(Info, FreshZone) {
    zone::Config config = default_template();
    config.set_name("kzone1");
    ASSERT_TRUE(config.set_global("hostid", "0x2e7d2173"));
    EXPECT_EQ(info_text(config), R"(zonename: kzone1
brand: linux-kz
autoboot: false
autoshutdown: shutdown
bootargs:
pool:
scheduling-class:
hostid: 0x2e7d2173
tenant:
anet 0:
        lower-link: auto
        allowed-address not specified
        configure-allowed-address: true
        defrouter not specified
        allowed-dhcp-cids not specified
        link-protection: mac-nospoof
        mac-address: auto
        mac-prefix not specified
        mac-slot not specified
        vlan-id not specified
        priority not specified
        rxrings not specified
        txrings not specified
        mtu not specified
        maxbw not specified
        bwshare not specified
        rxfanout not specified
        vsi-typeid not specified
        vsi-vers not specified
        vsi-mgrid not specified
        etsbw-lcl not specified
        cos not specified
        evs not specified
        vport not specified
        iov: off
        lro: auto
        id: 0
device 0:
        storage.template: file:///z/%{zonename}/disk%{id}
        storage: file:///z/kzone1/disk0
        id: 0
        bootpri: 0
virtual-cpu:
        ncpus: 4
capped-memory:
        physical: 4G
)");
}

TEST(Info, SecretsListsAndChildren) {
    const auto config = parse_export(
        "create -b\nadd anet\nadd mac\nset mac-address=2:0:0:0:0:9\nend\nadd vlan\nset vlan-id=7\nend\nend\n"
        "add keysource\nset raw=00112233445566778899aabbccddeeff\nend\n"
        "add verified-boot\nadd cert file:///a\nadd cert \"b c\"\nend\n"
        "add rctl\nset name=x\nadd value (priv=basic,limit=5,action=none)\nend\n",
        "z");
    ASSERT_TRUE(config) << config.error().message();
    const std::string text = info_text(*config);
    EXPECT_NE(text.find("        id: 0\n        mac 0:\n                mac-address: 02:00:00:00:00:09\n"
                        "                id: 0\n        vlan 0:\n                vlan-id: 7\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("keysource:\n        raw redacted\n"), std::string::npos);
    EXPECT_EQ(text.find("0011"), std::string::npos) << "the key is not shown";
    EXPECT_NE(
        text.find("verified-boot:\n        policy: warning\n        cert: file:///a\n        cert: b c\n"),
        std::string::npos);
    EXPECT_NE(text.find("rctl 0:\n        name: x\n        value: (priv=basic,limit=5,action=none)\n"),
              std::string::npos);
}

}  // namespace
}  // namespace kz::zonecfg
