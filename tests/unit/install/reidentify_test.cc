// A copy of a zone's disk becomes another zone's, also when the source was powered off.
#include "install/reidentify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"
#include "install/gpt.h"
#include "install/root_disk.h"
#include "install/tools.h"

namespace kz::install {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ReidentifyTest : public FolderTest {
  protected:
    static constexpr std::uint64_t kDisk = 64 * kMebibyte;

    void SetUp() override {
        for (const char* tool : {"mke2fs", "debugfs", "e2fsck", "grub-mkimage", "ssh-keygen"}) {
            if (!find_tool(tool)) GTEST_SKIP() << tool << " is not installed";
        }
        put(tree() / "etc/hostname", "old\n");
        put(tree() / "etc/hosts", "127.0.1.1\told\n");
        request.disk = folder() / "disk";
        request.usable_bytes = kDisk;
        request.zone_name = "new";
        request.work_dir = folder() / "work";
        request.network = {{"eth0", "192.0.2.9/24", ""}};
        std::filesystem::create_directories(request.work_dir);
        std::filesystem::create_directories(folder() / "grub");
    }
    Path tree() const { return folder() / "tree"; }
    void make_debian() {
        put(tree() / "etc/systemd/network/90-kzones.network", "");
        put(tree() / "etc/systemd/network/10-eth0.network", "Address=192.0.2.5/24\n");
        put(tree() / "etc/systemd/network/10-eth3.network", "old\n");
        put(tree() / "etc/ssh/ssh_host_ed25519_key", "old key");
        put(tree() / "etc/ssh/ssh_host_dsa_key", "old key");
        put(tree() / "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        put(tree() / "var/lib/systemd/random-seed", "seed");
    }
    void make_disk() {
        put(request.disk, "");
        std::filesystem::resize_file(request.disk, kDisk);
        const Result<void> made = write_root_disk(
            {request.disk, kDisk, tree(), "69ed2e6a-e25a-4d36-a022-ed7261ed8899", 4}, folder() / "grub", {});
        ASSERT_TRUE(made) << made.error().message();
    }
    std::string debugfs(const std::string& requests, bool write = false) {
        put(folder() / "requests", requests + "\n");
        std::vector<std::string> argv = {*find_tool("debugfs"), "-f", folder() / "requests",
                                         request.disk.string().append(kRootOffset)};
        if (write) argv.insert(argv.begin() + 1, "-w");
        const auto out = run_checked(std::move(argv));
        return out ? *out : out.error().message();
    }
    std::string cat(const std::string& path) { return debugfs("cat " + path); }
    void expect_clean() {
        const auto out =
            run_command({*find_tool("e2fsck"), "-f", "-n", request.disk.string().append(kRootOffset)});
        ASSERT_TRUE(out);
        EXPECT_EQ(out->status, 0) << out->standard_output;
    }

    InstallRequest request;
};

TEST_F(ReidentifyTest, NothingOfTheOldDebianIsLeft) {
    make_debian();
    make_disk();
    const Result<void> done = reidentify(request, "id", {});
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_THAT(cat("/etc/hostname"), HasSubstr("new\n"));
    EXPECT_THAT(cat("/etc/hosts"), HasSubstr("127.0.1.1\tnew\n"));
    EXPECT_THAT(cat("/etc/systemd/network/10-eth0.network"), HasSubstr("Address=192.0.2.9/24\n"));
    EXPECT_THAT(cat("/etc/ssh/ssh_host_ed25519_key"), HasSubstr("OPENSSH PRIVATE KEY"));
    EXPECT_THAT(debugfs("stat /etc/ssh/ssh_host_ed25519_key"), HasSubstr("Mode:  0600"));
    EXPECT_THAT(debugfs("stat /etc/machine-id"), HasSubstr("Size: 0"));
    for (const char* gone : {"/etc/ssh/ssh_host_dsa_key", "/etc/systemd/network/10-eth3.network",
                             "/var/lib/systemd/random-seed"})
        EXPECT_THAT(debugfs(std::string("stat ") + gone), Not(HasSubstr("Inode:"))) << gone;
    expect_clean();
    EXPECT_TRUE(std::filesystem::is_empty(request.work_dir));
}

TEST_F(ReidentifyTest, AJournalIsReplayedFirst) {
    put(tree() / "etc/kz/network", "old\n");
    make_disk();
    put(folder() / "block", std::string(4096, 'x'));
    debugfs("jo\njw -b 9000 " + (folder() / "block").string() + "\njc", true);
    ASSERT_THAT(debugfs("features"), HasSubstr("needs_recovery"));
    const Result<void> done = reidentify(request, "id", {});
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_THAT(debugfs("features"), Not(HasSubstr("needs_recovery")));
    EXPECT_THAT(cat("/etc/kz/network"), HasSubstr("eth0 192.0.2.9/24"));
    // What was in the journal is where it belongs.
    EXPECT_EQ(get(request.disk).substr(16 * kMebibyte + 9000 * 4096, 4096), std::string(4096, 'x'));
    expect_clean();
}

TEST_F(ReidentifyTest, WhatIsNotOursIsRefused) {
    make_disk();
    EXPECT_THAT(reidentify(request, "id", {}).error().message(), HasSubstr("not installed by kzones"));
    request.profile.users = {{"jack", "", "", "", "", {}}};
    EXPECT_THAT(reidentify(request, "id", {}).error().message(), HasSubstr("accounts"));
    put(request.disk, std::string(4096, '\0'));
    EXPECT_THAT(reidentify(request, "id", {}).error().message(), HasSubstr("no partition table"));
}

}  // namespace
}  // namespace kz::install
