#include "install/packages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "fixture.h"
#include "os/io.h"

namespace kz::install {
namespace {

using ::testing::HasSubstr;

TEST(PrintUris, IsUnderstood) {
    const auto candidate = parse_print_uris(
        "Notice\n'http://a/b.deb' busybox-static_1%3a1.35-4_amd64.deb 928188 SHA256:0123456789abcdef0123\n");
    ASSERT_TRUE(candidate) << candidate.error().message();
    EXPECT_EQ(candidate->name, "busybox-static");
    EXPECT_EQ(candidate->version, "1:1.35-4");
    EXPECT_EQ(candidate->digest, "0123456789abcdef0123");
}

TEST(PrintUris, AnythingElseIsRefused) {
    for (const std::string_view text :
         {"", "x", "'u' a_1_amd64.deb 5 SHA256:xyz", "'u' a_1_amd64.deb 5 SHA256:01",
          "'u' a_1.deb 5 SHA256:0123456789abcdef", "'u' ../a_1_amd64.deb 5 SHA256:0123456789abcdef",
          "'u' a_1_amd64.deb SHA256:0123456789abcdef"}) {
        EXPECT_FALSE(parse_print_uris(text)) << text;
    }
}

TEST(KernelDependency, IsTheFirstKernel) {
    EXPECT_EQ(parse_kernel_dependency("linux-image-x\n  Depends: base\n  Depends: linux-image-6.1\n"),
              "linux-image-6.1");
    EXPECT_EQ(parse_kernel_dependency("linux-image-x\n  Suggests: linux-image-6.1\n"), std::nullopt);
}

class PackagesTest : public FakeAptTest {
  protected:
    void SetUp() override {
        FakeAptTest::SetUp();
        put(folder() / "archive/tool/bin/tool", "tool");
        put(folder() / "archive/linux-image-6.0-test/boot/vmlinuz-6.0", "kernel");
        activity.progress = [this](std::string_view line) { said += std::string(line) + "\n"; };
    }
    Result<PackageSet> fetch(const std::vector<std::string>& names) {
        Result<PackageCache> cache = PackageCache::open(folder() / "cache", activity);
        if (!cache) return std::unexpected(cache.error());
        return cache->fetch("mini", names);
    }
    std::size_t cached() const {
        const std::filesystem::directory_iterator all(folder() / "cache/packages");
        return static_cast<std::size_t>(std::distance(begin(all), end(all)));
    }

    Activity activity;
    std::string said;
};

TEST_F(PackagesTest, AreFetchedOnceAndKept) {
    auto set = fetch({"linux-image-test", "tool"});
    ASSERT_TRUE(set) << set.error().message();
    EXPECT_EQ(set->packages[0].name, "linux-image-6.0-test");
    EXPECT_EQ(set->packages[1].version, "1:1.0");
    EXPECT_EQ(get(set->packages[1].tree / "bin/tool"), "tool");
    ASSERT_TRUE(fetch({"linux-image-test", "tool"}));
    EXPECT_EQ(get(folder() / "downloads"), "linux-image-6.0-test\ntool\n");
}

TEST_F(PackagesTest, ANewVersionReplacesTheOld) {
    ASSERT_TRUE(fetch({"tool"}));
    put(folder() / "version", "2.0");
    auto set = fetch({"tool"});
    ASSERT_TRUE(set);
    EXPECT_EQ(set->packages[0].version, "1:2.0");
    EXPECT_EQ(cached(), 1U);
}

TEST_F(PackagesTest, AreReusedWhenAptFails) {
    ASSERT_TRUE(fetch({"tool"}));
    put(folder() / "offline", "");
    auto set = fetch({"tool"});
    ASSERT_TRUE(set) << set.error().message();
    EXPECT_TRUE(set->offline);
    EXPECT_EQ(set->packages[0].version, "1:1.0");
    EXPECT_EQ(get(set->packages[0].tree / "bin/tool"), "tool");
    EXPECT_THAT(said, HasSubstr("Unable to fetch some archives"));
    EXPECT_THAT(said, HasSubstr("using those of an earlier installation"));
}

TEST_F(PackagesTest, WithoutAptAndWithoutAnEarlierOneItFails) {
    put(folder() / "offline", "");
    auto set = fetch({"tool"});
    ASSERT_FALSE(set);
    EXPECT_THAT(set.error().message(), HasSubstr("Unable to fetch some archives"));
    EXPECT_THAT(set.error().message(), HasSubstr("apt-get"));
}

TEST_F(PackagesTest, TheRecordOfOtherPackagesDoesNotCount) {
    ASSERT_TRUE(fetch({"tool"}));
    put(folder() / "offline", "");
    EXPECT_FALSE(fetch({"tool", "linux-image-test"}));
}

TEST_F(PackagesTest, ACancelLeavesNothingBehind) {
    put(folder() / "stuck", "");
    const Result<EventFd> cancel = EventFd::create();
    ASSERT_TRUE(cancel);
    activity.cancel_fd = cancel->fd();
    std::jthread user([&] {
        while (!std::filesystem::exists(folder() / "downloads"))
            std::this_thread::yield();
        cancel->signal();
    });
    auto set = fetch({"tool"});
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().code(), Errc::cancelled);
    EXPECT_EQ(cached(), 0U);
}

TEST_F(PackagesTest, WhatACrashLeftIsRemoved) {
    put(folder() / "cache/packages/.new-abcdef/tree/x", "half");
    ASSERT_TRUE(fetch({"tool"}));
    EXPECT_EQ(cached(), 1U);
}

TEST_F(PackagesTest, WaitingForTheLockCanBeCancelled) {
    const auto holder = PackageCache::open(folder() / "cache", activity);
    ASSERT_TRUE(holder);
    const Result<EventFd> cancel = EventFd::create();
    ASSERT_TRUE(cancel);
    Activity other = activity;
    other.cancel_fd = cancel->fd();
    other.progress = [&](std::string_view) { cancel->signal(); };
    const auto waiter = PackageCache::open(folder() / "cache", other);
    ASSERT_FALSE(waiter);
    EXPECT_EQ(waiter.error().code(), Errc::cancelled);
}

}  // namespace
}  // namespace kz::install
