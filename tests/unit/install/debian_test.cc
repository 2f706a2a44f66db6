// The Debian builder's plans, and its cache of bases.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"
#include "install/apt_sources.h"
#include "install/base_cache.h"
#include "install/debian_identity.h"
#include "install/host_profile.h"
#include "install/tools.h"

namespace kz::install {
namespace {

using ::testing::HasSubstr;

TEST(AptSources, WhatAptSaysIsRead) {
    const auto targets = parse_index_targets(
        "Debian|bookworm|http://mirror.example/debian/|bookworm|main|/lists/"
        "mirror_dists_bookworm_main_Packages\nrubbish\n");
    ASSERT_EQ(targets.size(), 1U);
    EXPECT_EQ(targets[0].uri, "http://mirror.example/debian/");
    EXPECT_EQ(targets[0].component, "main");
    EXPECT_EQ(os_release_value("ID_LIKE=x\nID=debian\nVERSION_CODENAME=\"bookworm\"\n", "ID"), "debian");
    EXPECT_EQ(os_release_value("VERSION_CODENAME=\"bookworm\"\n", "VERSION_CODENAME"), "bookworm");
    EXPECT_EQ(os_release_value("ID=debian\n", "VERSION"), "");
    EXPECT_EQ(release_date("Origin: Debian\nDate: Sat, 17 May 2025 09:12:34 UTC\n"), 1747473154);
    EXPECT_EQ(release_date("Origin: Debian\n"), 0);
    EXPECT_EQ(fetch_configuration("Acquire::http::Proxy \"http://p:3128\";\nAcquire::https \"\";\n"
                                  "Acquire::Check-Valid-Until \"false\";\nAPT::Proxy \"x\";\n"),
              "Acquire::http::Proxy \"http://p:3128\";\nAcquire::Check-Valid-Until \"false\";\n");
}

TEST(DebianIdentity, EveryInterfaceHasOneFile) {
    InstallRequest request;
    request.network = {
        {"eth0", "192.0.2.5/24", "192.0.2.1"}, {"eth0", "2001:db8::5/64", ""}, {"eth1", "192.0.2.6/24", ""}};
    request.profile.interfaces = {{"eth1", true, false, {}, {}, {"192.0.2.53"}, {"example.com"}}};
    const std::vector<ManifestFile> files = network_files(request);
    ASSERT_EQ(files.size(), 3U);
    EXPECT_EQ(files[0].path, "/etc/systemd/network/10-eth1.network");
    EXPECT_THAT(files[0].content, HasSubstr("DHCP=ipv4\nDNS=192.0.2.53\nDomains=example.com\n"));
    EXPECT_EQ(files[1].path, "/etc/systemd/network/10-eth0.network");
    EXPECT_THAT(
        files[1].content,
        HasSubstr("[Network]\nDHCP=no\nAddress=192.0.2.5/24\nGateway=192.0.2.1\nAddress=2001:db8::5/64\n"));
    EXPECT_THAT(files[2].content, HasSubstr("Name=eth*\n"));
}

TEST(DebianIdentity, LocalesAreFoundHoweverTheyAreSpelled) {
    const std::string supported = "de_DE ISO-8859-1\nde_DE.UTF-8 UTF-8\nC.UTF-8 UTF-8\n";
    EXPECT_EQ(find_locale(supported, "de_DE.utf8"), "de_DE.UTF-8 UTF-8");
    EXPECT_EQ(find_locale(supported, "de_DE"), "de_DE ISO-8859-1");
    EXPECT_EQ(find_locale(supported, "de_AT.UTF-8"), "");
}

using HostProfileTest = FolderTest;
TEST_F(HostProfileTest, WhatIsNotSaidIsTheHosts) {
    put(folder() / "timezone", "Etc/UTC\n");
    put(folder() / "default/locale", "LANG=\"de_DE.UTF-8\"\n");
    Profile profile = with_host_defaults({}, folder());
    EXPECT_EQ(profile.locale, "de_DE.UTF-8");
    profile.time_zone = "Europe/Berlin";
    profile.locale = "C.UTF-8";
    EXPECT_EQ(with_host_defaults(profile, folder()), profile);
    put(folder() / "default/locale", "LANG=../../x\n");
    put(folder() / "timezone", "../passwd\n");
    EXPECT_EQ(with_host_defaults({}, folder()), Profile());
}

class BaseCacheTest : public FolderTest {
  protected:
    void SetUp() override {
        if (!find_tool("zstd") || !find_tool("tar")) GTEST_SKIP() << "no zstd or tar";
        base_.name = "m";
        base_.key = "aa11";
        base_.make = [this](const Path& tree, const Path&) -> Result<void> {
            ++made_;
            if (offline_) return fail(Errc::io, "no network");
            put(tree / "etc/release", "one");
            return {};
        };
    }
    Result<void> unpack(const std::string& name) {
        std::filesystem::create_directories(folder() / name);
        KZ_TRY(BaseCache cache, BaseCache::open(folder() / "cache", activity_));
        return cache.unpack(base_, folder() / name);
    }
    std::size_t entries() const {
        const auto begin = std::filesystem::directory_iterator(folder() / "cache/bases");
        return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
    }
    Activity activity_{{}, -1, {}};
    BaseRequest base_;
    bool offline_ = false;
    int made_ = 0;
};

TEST_F(BaseCacheTest, ASecondOneIsOnlyUnpacked) {
    ASSERT_TRUE(unpack("a"));
    ASSERT_TRUE(unpack("b"));
    EXPECT_EQ(made_, 1);
    EXPECT_EQ(get(folder() / "b/etc/release"), "one");
}

TEST_F(BaseCacheTest, ADamagedOneIsMadeAnew) {
    ASSERT_TRUE(unpack("a"));
    put(folder() / "cache/bases/aa11.tar.zst", "rubbish");
    ASSERT_TRUE(unpack("b"));
    EXPECT_EQ(made_, 2);
    EXPECT_EQ(get(folder() / "b/etc/release"), "one");
}

TEST_F(BaseCacheTest, OneThatIsMadeAgainIsTheSame) {
    base_.newest_time = 1'000'000'000;
    ASSERT_TRUE(unpack("a"));
    const Path archive = folder() / "cache/bases/aa11.tar.zst";
    const std::string first = get(archive);
    std::filesystem::remove(archive);
    ASSERT_TRUE(unpack("b"));
    EXPECT_EQ(made_, 2);
    EXPECT_EQ(get(archive), first);
}

TEST_F(BaseCacheTest, ANewOneReplacesTheOldAndRemainsGo) {
    ASSERT_TRUE(unpack("a"));
    put(folder() / "cache/bases/.new-x/root/file", "x");
    put(folder() / "cache/bases/bb.tar.zst", "half");
    base_.key = "cc33";
    ASSERT_TRUE(unpack("b"));
    EXPECT_EQ(entries(), 3U);  // the archive, its record, the lock
}

TEST_F(BaseCacheTest, WithoutANetworkTheOldOneServesAndNothingHalfIsLeft) {
    offline_ = true;
    EXPECT_EQ(unpack("a").error().message(), "no network");
    EXPECT_EQ(entries(), 1U);
    offline_ = false;
    ASSERT_TRUE(unpack("b"));
    offline_ = true;
    base_.key = "dd44";
    ASSERT_TRUE(unpack("c"));
    EXPECT_EQ(get(folder() / "c/etc/release"), "one");
}

}  // namespace
}  // namespace kz::install
