#include "install/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"

namespace kz::install {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kGood =
    "version: 1\n"
    "name: test\n"
    "builder: mini\n"
    "packages: [linux-image-cloud-amd64, busybox-static]\n"
    "minimum-size: 64M\n"
    "initramfs-modules: [virtio_blk]\n"
    "modules: [virtio-rng]\n"
    "kernel-arguments: console=hvc0 quiet\n"
    "files:\n"
    "  - path: /etc/motd\n"
    "    content: hello\n"
    "  - path: /usr/bin/x\n"
    "    mode: 0755\n"
    "    content: '#!/bin/sh'\n";

std::string error_of(std::string text) {
    const Result<Manifest> manifest = parse_manifest(text, "m.yaml");
    return manifest ? "no error" : manifest.error().message();
}
std::string error_with(std::string_view from, std::string_view to) {
    std::string text(kGood);
    text.replace(text.find(from), from.size(), to);
    return error_of(std::move(text));
}

TEST(Manifest, AllKeysAreRead) {
    const Result<Manifest> manifest = parse_manifest(kGood, "m.yaml");
    ASSERT_TRUE(manifest) << manifest.error().message();
    EXPECT_EQ(manifest->name, "test");
    EXPECT_THAT(manifest->packages, ElementsAre("linux-image-cloud-amd64", "busybox-static"));
    EXPECT_EQ(manifest->minimum_size, 64U << 20);
    EXPECT_THAT(manifest->modules, ElementsAre("virtio-rng"));
    EXPECT_EQ(manifest->kernel_arguments, "console=hvc0 quiet");
    ASSERT_EQ(manifest->files.size(), 2U);
    EXPECT_EQ(manifest->files[0].mode, 0644U);
    EXPECT_EQ(manifest->files[1].mode, 0755U);
    EXPECT_EQ(manifest->files[1].content, "#!/bin/sh");
}

TEST(Manifest, ErrorsNameTheLine) {
    EXPECT_EQ(error_with("modules: [virtio-rng]", "moduls: []"), "m.yaml:7: unknown key 'moduls'");
    EXPECT_EQ(error_with("    mode: 0755", "    owner: x"), "m.yaml:13: unknown key 'owner'");
    EXPECT_EQ(error_with("name: test", "version: 1"), "m.yaml:2: key 'version' is given twice");
    EXPECT_EQ(error_with("name: test\n", ""), "m.yaml:1: the manifest lacks the key 'name'");
    EXPECT_EQ(error_with("version: 1", "version: 2"),
              "m.yaml:1: version 2 is not known here; this kzones reads version 1");
    EXPECT_EQ(error_with("builder: mini", "builder: big"),
              "m.yaml:3: builder 'big' is not known here; the builders are: debian, mini");
    EXPECT_THAT(error_with("64M", "lots"), HasSubstr("m.yaml:5: minimum-size: "));
    EXPECT_EQ(error_with("[virtio_blk]", "virtio_blk"), "m.yaml:6: 'initramfs-modules' must be a list");
    EXPECT_EQ(error_with("0755", "0999"), "m.yaml:13: mode '0999' is not an octal number such as 0644");
    EXPECT_THAT(error_with("name: test", "name: [test"), HasSubstr("m.yaml:"));
    EXPECT_EQ(error_of(""), "m.yaml:1: the manifest must be a map of keys and values");
}

TEST(Manifest, ValuesCannotBecomeOptionsPathsOrCommands) {
    EXPECT_EQ(error_with("busybox-static", "--yes"), "m.yaml:4: '--yes' is not a valid value of 'packages'");
    EXPECT_EQ(error_with("name: test", "name: ../x"), "m.yaml:2: '../x' is not a valid value of 'name'");
    EXPECT_THAT(error_with("hvc0 quiet", "hvc0; reboot"),
                HasSubstr("m.yaml:8: 'kernel-arguments' holds a character"));
    EXPECT_EQ(error_with("/etc/motd", "/etc/../../motd"),
              "m.yaml:10: path '/etc/../../motd' is not an absolute path of a file");
    EXPECT_EQ(error_with("/etc/motd", "etc/motd"),
              "m.yaml:10: path 'etc/motd' is not an absolute path of a file");
}

constexpr std::string_view kDebian =
    "version: 1\n"
    "name: web\n"
    "builder: debian\n"
    "kernel: linux-image-cloud-amd64\n"
    "packages: [systemd-sysv, nginx]\n"
    "sources: [host, 'deb https://packages.example.com/x stable main']\n"
    "minimum-size: 1G\n"
    "size: 8G\n"
    "kernel-arguments: quiet\n"
    "documentation: false\n"
    "users:\n"
    "  - name: jack\n"
    "commands:\n"
    "  - systemctl enable nginx\n";

TEST(Manifest, ADebianHasKeysOfItsOwn) {
    const Result<Manifest> manifest = parse_manifest(kDebian, "m.yaml");
    ASSERT_TRUE(manifest) << manifest.error().message();
    EXPECT_EQ(manifest->kernel, "linux-image-cloud-amd64");
    EXPECT_EQ(manifest->size, 8ULL << 30);
    EXPECT_THAT(manifest->sources, ElementsAre("host", "deb https://packages.example.com/x stable main"));
    EXPECT_FALSE(manifest->documentation);
    ASSERT_EQ(manifest->users.size(), 1U);
    EXPECT_EQ(manifest->users[0].name, "jack");
    EXPECT_THAT(manifest->commands, ElementsAre("systemctl enable nginx"));
    EXPECT_EQ(manifest->text, kDebian);
}

std::string debian_error_with(std::string_view from, std::string_view to) {
    std::string text(kDebian);
    text.replace(text.find(from), from.size(), to);
    return error_of(std::move(text));
}

TEST(Manifest, ADebiansErrorsNameTheLineToo) {
    EXPECT_EQ(debian_error_with("documentation: false", "initramfs-modules: []"),
              "m.yaml:10: unknown key 'initramfs-modules'");
    EXPECT_EQ(debian_error_with("- name: jack", "- nam: jack"), "m.yaml:12: unknown key 'nam'");
    EXPECT_EQ(debian_error_with("kernel: linux-image-cloud-amd64\n", ""),
              "m.yaml:1: the manifest lacks the key 'kernel'");
    EXPECT_EQ(debian_error_with("false", "no"), "m.yaml:10: 'documentation' must be true or false");
    EXPECT_EQ(debian_error_with("'deb https", "'rpm https"),
              "m.yaml:6: 'rpm https://packages.example.com/x stable main' is no source: 'host', or a line of "
              "sources.list that begins with deb");
}

TEST(Manifest, TheShippedOnesLoadByName) {
    for (const char* name : {"mini", "default", "server"}) {
        const Result<Manifest> manifest = load_manifest(name, KZ_SHARE);
        ASSERT_TRUE(manifest) << manifest.error().message();
        EXPECT_EQ(manifest->name, name);
        EXPECT_EQ(manifest->builder, manifest->name == "mini" ? kMiniBuilder : kDebianBuilder);
    }
}

TEST(Manifest, AnUnknownNameListsTheKnownOnes) {
    const Result<Manifest> manifest = load_manifest("maxi", KZ_SHARE);
    ASSERT_FALSE(manifest);
    EXPECT_EQ(manifest.error().code(), Errc::not_found);
    EXPECT_EQ(manifest.error().message(), "no manifest is called 'maxi'; there are: default, mini, server");
}

using ManifestFileTest = FolderTest;
TEST_F(ManifestFileTest, APathIsReadAsAFile) {
    put(folder() / "own.yaml", kGood);
    EXPECT_TRUE(load_manifest((folder() / "own.yaml").string(), KZ_SHARE));
    EXPECT_FALSE(load_manifest((folder() / "none.yaml").string(), KZ_SHARE));
}

}  // namespace
}  // namespace kz::install
