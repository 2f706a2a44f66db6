// A whole installation from made-up packages: everything but the booting.
#include "install/mini.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"
#include "install/gpt.h"
#include "install/tools.h"
#include "os/process.h"

namespace kz::install {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kUsable = 64 * kMebibyte;

class MiniTest : public FakeAptTest {
  protected:
    void SetUp() override {
        for (const char* tool : {"mke2fs", "debugfs", "grub-mkimage"}) {
            if (!find_tool(tool)) GTEST_SKIP() << tool << " is not installed";
        }
        FakeAptTest::SetUp();
        const Path kernel = folder() / "archive/linux-image-6.0-test";
        put(kernel / "boot/vmlinuz-6.0-test", "the kernel");
        put(kernel / "lib/modules/6.0-test/modules.builtin", "");
        put(kernel / "lib/modules/6.0-test/kernel/virtio_blk.ko", "module");
        put(folder() / "archive/busybox-static/bin/busybox",
            "#!/bin/sh\nprintf 'bin/ls\\nsbin/init\\nsbin/poweroff\\n'\n", true);
        put(folder() / "archive/bash-static/bin/bash-static", "bash");
        put(folder() / "disk", std::string(kUsable + kMebibyte, 'H'));
        request.disk = folder() / "disk";
        request.usable_bytes = kUsable;
        request.zone_name = "ant1";
        request.cache_dir = folder() / "cache";
        request.work_dir = folder() / "work";
        request.share_dir = KZ_SHARE;
        request.manifest.name = "mini";
        request.manifest.packages = {"linux-image-test", "busybox-static", "bash-static"};
        request.manifest.minimum_size = kUsable;
        request.manifest.initramfs_modules = {"virtio_blk"};
        request.manifest.kernel_arguments = "console=hvc0 quiet";
        request.manifest.files = {{"/etc/motd", 0600, "hello\n"}};
        request.network = {{"eth0", "192.0.2.5/24", "192.0.2.1"}};
    }
    std::string cat(const std::string& path) { return debugfs("cat " + path); }
    std::string debugfs(const std::string& command) {
        const Result<std::string> tool = find_tool("debugfs");
        const auto out = run_checked({*tool, "-R", command, request.disk.string().append(kRootOffset)});
        return out ? *out : out.error().message();
    }
    std::string refused() {
        const auto report = install_mini(request);
        return report ? "no error" : report.error().message();
    }

    InstallRequest request;
};

TEST_F(MiniTest, TheDiskHoldsAllAndTheHostsPartIsUntouched) {
    const auto report = install_mini(request);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_EQ(report->kernel_release, "6.0-test");
    EXPECT_FALSE(report->offline);
    EXPECT_EQ(cat("/etc/hostname"), "ant1\n");
    EXPECT_EQ(cat("/etc/motd"), "hello\n");
    EXPECT_THAT(cat("/etc/kz/network"), HasSubstr("eth0 192.0.2.5/24 192.0.2.1\n"));
    EXPECT_EQ(cat("/boot/vmlinuz"), "the kernel");
    EXPECT_THAT(cat("/boot/grub/grub.cfg"),
                HasSubstr("linux /boot/vmlinuz root=UUID=" + report->root_uuid + " console=hvc0 quiet\n"));
    EXPECT_EQ(cat("/lib/modules/6.0-test/modules.dep"), "kernel/virtio_blk.ko:\n");
    EXPECT_THAT(debugfs("stat /sbin/poweroff"), HasSubstr("kz-shutdown"));
    EXPECT_THAT(debugfs("stat /sbin/init"), HasSubstr("/bin/busybox"));
    EXPECT_THAT(debugfs("stat /usr/bin/kz-memload"), HasSubstr("Mode:  0755"));
    EXPECT_THAT(debugfs("stat /etc/shadow"), HasSubstr("Mode:  0600"));

    const std::string disk = get(request.disk);
    EXPECT_EQ(disk.substr(512, 8), "EFI PART");
    EXPECT_EQ(disk.substr(kUsable - 512, 8), "EFI PART");
    EXPECT_EQ(disk.substr(510, 2), "\x55\xaa");
    EXPECT_EQ(disk.substr(kUsable), std::string(kMebibyte, 'H'));
    EXPECT_TRUE(std::filesystem::is_empty(request.work_dir));
}

TEST_F(MiniTest, AProfileIsApplied) {
    std::vector<std::string> said;
    request.progress = [&](std::string_view line) { said.emplace_back(line); };
    request.profile.host_name = "db7";
    request.profile.keyboard.layout = "de";
    request.profile.users = {{"jack", "Jack", "", "", "", {}}};
    request.profile.interfaces = {{"eth0", false, false, {"192.0.2.9/24"}, {}, {"192.0.2.53"}, {}}};
    const auto report = install_mini(request);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_EQ(cat("/etc/hostname"), "db7\n");
    EXPECT_THAT(cat("/etc/hosts"), HasSubstr("127.0.1.1\tdb7\n"));
    EXPECT_THAT(cat("/etc/kz/network"), HasSubstr("\neth0 192.0.2.9/24 \n"));
    EXPECT_EQ(cat("/etc/resolv.conf"), "nameserver 192.0.2.53\n");
    EXPECT_THAT(cat("/etc/passwd"), HasSubstr("\njack:x:1000:1000:Jack:/home/jack:/bin/bash\n"));
    EXPECT_THAT(cat("/etc/shadow"), HasSubstr("\njack:*:"));
    EXPECT_THAT(debugfs("stat /etc/shadow"), HasSubstr("Mode:  0600"));
    EXPECT_THAT(debugfs("stat /home/jack"), HasSubstr("User:  1000   Group:  1000"));
    EXPECT_THAT(said,
                ::testing::Contains("A mini zone does not have what the profile asks for: the keyboard"));
}

TEST_F(MiniTest, ASecondOneNeedsNoApt) {
    ASSERT_TRUE(install_mini(request));
    put(folder() / "offline", "");
    const auto report = install_mini(request);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_TRUE(report->offline);
}

TEST_F(MiniTest, BadRequestsLeaveTheDiskAlone) {
    request.zone_name = "a b";
    EXPECT_EQ(refused(), "'a b' cannot be a host name");
    request.zone_name = "ant1";
    request.network[0].address = "192.0.2.5";
    EXPECT_EQ(refused(), "'192.0.2.5' is not an address with a prefix such as 192.0.2.5/24");
    request.network[0].address = "192.0.2.5/33";
    EXPECT_THAT(refused(), HasSubstr("is not an address with a prefix"));
    request.network[0] = {"eth0", "2001:db8::5/64", "nowhere"};
    EXPECT_EQ(refused(), "'nowhere' is not the address of a router");
    request.network.clear();
    request.usable_bytes = kUsable - 512;
    EXPECT_EQ(refused(), "the disk gives the zone 67108352; the manifest 'mini' asks for 64M");
    request.usable_bytes = kUsable + 2 * kMebibyte;
    EXPECT_THAT(refused(), HasSubstr("has 68157440 bytes, 69206016 are needed"));
    request.usable_bytes = kUsable;
    request.manifest.modules = {"nonsense"};
    EXPECT_EQ(refused(), "modules: this kernel has no module nonsense");
    request.manifest.modules.clear();
    request.manifest.packages = {"linux-image-test", "bash-static"};
    EXPECT_EQ(refused(), "none of the manifest's packages brings /bin/busybox");
    EXPECT_EQ(get(request.disk), std::string(kUsable + kMebibyte, 'H'));
}

TEST_F(MiniTest, AFullDiskIsAnErrorAndDoesNotBoot) {
    put(folder() / "archive/linux-image-6.0-test/boot/vmlinuz-6.0-test", std::string(kUsable, 'k'));
    EXPECT_THAT(refused(), HasSubstr("do not fit"));
    EXPECT_EQ(get(request.disk).substr(0, 512), std::string(512, '\0'));
    EXPECT_TRUE(std::filesystem::is_empty(request.work_dir));
}

}  // namespace
}  // namespace kz::install
