#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"
#include "install/mini_profile.h"

namespace kz::install {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MiniProfileTest : public ::testing::Test {
  protected:
    MiniProfileTest() {
        request.zone_name = "ant1";
        request.share_dir = KZ_SHARE;
        request.network = {{"eth0", "192.0.2.5/24", "192.0.2.1"}, {"eth1", "198.51.100.5/24", ""}};
    }
    std::string file(const std::string& path) {
        const auto identity = plan_identity(request);
        for (const ManifestFile& one : identity.value().files) {
            if (one.path == path) return one.content;
        }
        return "no file";
    }
    InstallRequest request;
};

TEST_F(MiniProfileTest, WithoutOneTheConfigurationSpeaks) {
    const auto identity = plan_identity(request);
    ASSERT_TRUE(identity) << identity.error().message();
    EXPECT_EQ(identity->host_name, "ant1");
    EXPECT_THAT(identity->network, HasSubstr("eth0 192.0.2.5/24 192.0.2.1\neth1 198.51.100.5/24 \n"));
    EXPECT_TRUE(identity->files.empty());
    EXPECT_TRUE(identity->left_out.empty());
}

TEST_F(MiniProfileTest, TheInterfacesThatItNamesAreItsOwn) {
    request.profile.interfaces = {
        {"eth0", false, false, {"192.0.2.9/24", "2001:db8::9/64"}, {"192.0.2.2"}, {"192.0.2.53"}, {"a.test"}},
        {"eth2", true, false, {}, {}, {}, {}},
        {"eth3", false, false, {}, {}, {}, {}}};
    EXPECT_THAT(plan_identity(request).value().network,
                HasSubstr("\neth1 198.51.100.5/24 \neth0 192.0.2.9/24 192.0.2.2\neth0 2001:db8::9/64 \n"
                          "eth3 none\n"));
    EXPECT_EQ(file("/etc/resolv.conf"), "search a.test\nnameserver 192.0.2.53\n");
}

TEST_F(MiniProfileTest, UsersGetAnAccountAndAHome) {
    request.profile.users = {{"root", "", "", "", "$6$root", {}}, {"jack", "Jack", "", "", "$6$jack", {}}};
    EXPECT_THAT(file("/etc/passwd"), HasSubstr("\njack:x:1000:1000:Jack:/home/jack:/bin/bash\n"));
    EXPECT_THAT(file("/etc/group"), HasSubstr("\njack:x:1000:\n"));
    EXPECT_EQ(file("/etc/shadow"),
              "root:$6$root:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n"
              "jack:$6$jack:19000:0:99999:7:::\n");
    const auto identity = plan_identity(request);
    ASSERT_EQ(identity->homes.size(), 1U);
    EXPECT_EQ(identity->homes[0].path, "/home/jack");
    request.profile.users = {{"nobody", "", "", "", "", {}}};
    EXPECT_EQ(plan_identity(request).error().message(), "a mini zone has an account 'nobody' of its own");
}

TEST_F(MiniProfileTest, WhatAMiniZoneLacksIsNamed) {
    request.profile.locale = "C.UTF-8";
    EXPECT_TRUE(plan_identity(request).value().left_out.empty());
    request.profile.locale = "de_DE.UTF-8";
    request.profile.keyboard.layout = "de";
    request.profile.users = {{"jack", "", "", "ALL=(ALL:ALL) ALL", "", {"ssh-ed25519 AAAA"}}};
    EXPECT_THAT(plan_identity(request).value().left_out,
                ElementsAre("the locale", "the keyboard", "ssh keys", "sudo"));
}

TEST_F(MiniProfileTest, TheTimeZoneIsTheHostsFile) {
    request.profile.time_zone = "No/Where";
    EXPECT_FALSE(plan_identity(request));
    if (!std::filesystem::exists("/usr/share/zoneinfo/Europe/Berlin"))
        GTEST_SKIP() << "tzdata is not installed";
    request.profile.time_zone = "Europe/Berlin";
    EXPECT_EQ(file("/etc/localtime"), get("/usr/share/zoneinfo/Europe/Berlin"));
    EXPECT_EQ(file("/etc/timezone"), "Europe/Berlin\n");
}

}  // namespace
}  // namespace kz::install
