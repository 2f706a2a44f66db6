// A copy of a zone's disk becomes another zone's, also when the source was powered off.
#include "install/reidentify.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"
#include "install/gpt.h"
#include "install/partition_edit.h"
#include "install/root_disk.h"
#include "install/seed.h"
#include "install/tools.h"
#include "os/file.h"
#include "os/io.h"
#include "os/uuid.h"

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

TEST_F(ReidentifyTest, TheServersKeyIsItsOwn) {
    make_debian();
    put(tree() / "etc/group", "root:x:0:\nssl-cert:x:117:postgres\n");
    put(tree() / "etc/ssl/private/ssl-cert-snakeoil.key", "old key");
    put(tree() / "etc/ssl/certs/ssl-cert-snakeoil.pem", "old certificate");
    make_disk();
    request.profile.host_name = "new.example.org";
    const Result<void> done = reidentify(request, "id", {});
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_THAT(cat("/etc/ssl/private/ssl-cert-snakeoil.key"), HasSubstr("BEGIN PRIVATE KEY"));
    const std::string status = debugfs("stat /etc/ssl/private/ssl-cert-snakeoil.key");
    EXPECT_THAT(status, HasSubstr("Mode:  0640"));
    EXPECT_THAT(status, HasSubstr("Group:   117"));
    EXPECT_THAT(cat("/etc/ssl/certs/ssl-cert-snakeoil.pem"), HasSubstr("BEGIN CERTIFICATE"));
    expect_clean();
}

TEST_F(ReidentifyTest, NoServersKeyWhereThereWasNone) {
    make_debian();
    make_disk();
    ASSERT_TRUE(reidentify(request, "id", {}));
    EXPECT_THAT(debugfs("stat /etc/ssl/private/ssl-cert-snakeoil.key"), Not(HasSubstr("Inode:")));
}

TEST_F(ReidentifyTest, TheProfileSaysWhereItIs) {
    make_debian();
    put(tree() / "etc/locale.gen", "# de_AT.UTF-8 UTF-8\nde_DE.UTF-8 UTF-8\n");
    put(tree() / "etc/timezone", "Etc/UTC\n");
    std::filesystem::create_symlink("/usr/share/zoneinfo/Etc/UTC", tree() / "etc/localtime");
    make_disk();
    request.profile.time_zone = "Europe/Berlin";
    request.profile.locale = "de_DE.utf8";
    request.profile.keyboard.layout = "de";
    const Result<void> done = reidentify(request, "id", {});
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_THAT(debugfs("stat /etc/localtime"), HasSubstr("\"/usr/share/zoneinfo/Europe/Berlin\""));
    EXPECT_THAT(cat("/etc/timezone"), HasSubstr("Europe/Berlin\n"));
    EXPECT_THAT(cat("/etc/default/locale"), HasSubstr("LANG=de_DE.UTF-8\n"));
    EXPECT_THAT(cat("/etc/default/keyboard"), HasSubstr("XKBLAYOUT=\"de\""));
    expect_clean();
}

TEST_F(ReidentifyTest, ALocaleThatIsNotThereIsSaid) {
    make_debian();
    put(tree() / "etc/default/locale", "LANG=C.UTF-8\n");
    make_disk();
    std::string said;
    request.progress = [&](std::string_view line) { said += line; };
    request.profile.locale = "de_AT.UTF-8";
    ASSERT_TRUE(reidentify(request, "id", {}));
    EXPECT_THAT(said, HasSubstr("does not have the locale de_AT.UTF-8"));
    EXPECT_THAT(cat("/etc/default/locale"), HasSubstr("LANG=C.UTF-8\n"));
}

TEST_F(ReidentifyTest, AMiniZoneGetsItsTimeZoneToo) {
    put(tree() / "etc/kz/network", "old\n");
    make_disk();
    request.profile.time_zone = "UTC";
    const Result<void> done = reidentify(request, "id", {});
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_THAT(cat("/etc/hostname"), HasSubstr("new\n"));
    EXPECT_THAT(cat("/etc/kz/network"), HasSubstr("eth0 192.0.2.9/24"));
    expect_clean();
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

// A disk as install_archive() leaves it, with a seed.
class ReseedTest : public FolderTest {
  protected:
    static constexpr std::uint64_t kImage = 32 * kMebibyte;
    static constexpr std::uint64_t kDisk = 40 * kMebibyte;

    void SetUp() override {
        request.disk = folder() / "disk";
        request.usable_bytes = kDisk;
        request.zone_name = "new";
        request.share_dir = KZ_SHARE;
        const Result<DiskLayout> layout = plan_disk(kImage);
        ASSERT_TRUE(layout);
        const auto table = encode_gpt(*layout, *random_disk_uuids());
        ASSERT_TRUE(table);
        put(request.disk, as_text(table->primary));
        std::filesystem::resize_file(request.disk, kDisk);
    }
    void put_seed(const Seed& seed) {
        const UniqueFd disk = *open_file(request.disk, O_RDWR);
        ASSERT_TRUE(grow_table(disk.get(), kDisk));
        const auto place = append_partition(disk.get(), kDisk, kMebibyte, kSeedLabel);
        ASSERT_TRUE(place) << place.error().message();
        const auto image = make_seed_image(seed);
        ASSERT_TRUE(image) << image.error().message();
        offset = place->first * kSectorSize;
        ASSERT_TRUE(write_at(disk.get(), *image, offset));
    }
    std::string seed_there() { return get(request.disk).substr(offset, kMebibyte); }

    InstallRequest request;
    std::uint64_t offset = 0;
};

TEST_F(ReseedTest, TheSeedIsExchanged) {
    put_seed({"#cloud-config\nhostname: old\n", "instance-id: \"old-id\"\n", "", {}});
    const Result<void> done = reidentify(request, "new-id", {"02:00:00:00:00:01"});
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_THAT(seed_there(), HasSubstr("instance-id: \"new-id\""));
    EXPECT_THAT(seed_there(), HasSubstr("macaddress: \"02:00:00:00:00:01\""));
    EXPECT_THAT(seed_there(), Not(HasSubstr("old")));
    EXPECT_FALSE(seed_has_agent(as_bytes(seed_there())));
}

TEST_F(ReseedTest, AnAgentStaysInIt) {
    put_seed(
        {"#cloud-config\n", "instance-id: \"old-id\"\n", "", SeedAgent{"#!/bin/sh\n", "old unit", "old"}});
    const Result<void> done = reidentify(request, "new-id", {});
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_TRUE(seed_has_agent(as_bytes(seed_there())));
    EXPECT_THAT(seed_there(), HasSubstr("kz-agent-gz"));  // the script's word for it
    EXPECT_THAT(seed_there(), Not(HasSubstr("old unit")));
}

}  // namespace
}  // namespace kz::install
