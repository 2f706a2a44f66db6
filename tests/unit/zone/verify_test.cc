#include "zone/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zone/export.h"

namespace kz::zone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Resource make(std::string_view type,
              std::initializer_list<std::pair<std::string_view, std::string_view>> values) {
    Resource resource(*find_resource(type));
    for (const auto& [name, value] : values)
        EXPECT_TRUE(resource.set(name, value)) << name;
    return resource;
}

Config config_of(std::vector<Resource> resources) {
    Config config("z");
    for (Resource& resource : resources)
        config.add(std::move(resource));
    return config;
}

TEST(Verify, BlankConfigurationIsFine) {
    const Report report = verify(Config("z"));
    EXPECT_TRUE(report.ok());
    EXPECT_THAT(report.notes, IsEmpty());
}

TEST(Verify, ReservedNames) {
    for (const char* name : {"global", "SUNWz", "SYSz", ""})
        EXPECT_FALSE(verify(Config(name)).ok()) << name;
}

TEST(Verify, RequiredProperties) {
    EXPECT_THAT(
        verify_resource(make("device", {{"id", "0"}})),
        ElementsAre(
            "storage: Required property missing\nOne of match, storage or storage.template is required."));
    EXPECT_THAT(verify_resource(make("capped-memory", {})),
                ElementsAre("No property was specified.  One of physical, swap or locked is required."));
    EXPECT_THAT(verify_resource(make("suspend", {})),
                ElementsAre("path: Required property missing\nOne of path or storage is required."));
    EXPECT_THAT(verify_resource(make("attr", {{"name", "a"}})),
                ElementsAre("type: Required property missing", "value: Required property missing"));
}

TEST(Verify, AttributesFitTheirType) {
    EXPECT_THAT(verify_resource(make("attr", {{"name", "a"}, {"type", "uint"}, {"value", "-1"}})),
                ElementsAre("-1: Invalid argument\nvalue must be of type uint."));
    EXPECT_THAT(verify_resource(make("attr", {{"name", "a"}, {"type", "int"}, {"value", "-1"}})), IsEmpty());
    EXPECT_FALSE(
        verify_resource(make("attr", {{"name", "a"}, {"type", "boolean"}, {"value", "yes"}})).empty());
}

TEST(Verify, Collisions) {
    const Report report =
        verify(config_of({make("device", {{"id", "0"}, {"storage", "file:///d/z"}}),
                          make("device", {{"id", "1"}, {"storage.template", "file:///d/%{zonename}"}}),
                          make("device", {{"id", "1"}, {"match", "/dev/b"}})}));
    EXPECT_THAT(report.errors, ElementsAre("A device resource with the storage 'file:///d/z' already exists.",
                                           "A device resource with the id '1' already exists."));
}

TEST(Verify, MacAddressesAreUnique) {
    const Report report = verify(config_of({make("anet", {{"id", "0"}, {"mac-address", "2:0:0:0:0:1"}}),
                                            make("anet", {{"id", "1"}, {"mac-address", "2:0:0:0:0:1"}}),
                                            make("anet", {{"id", "2"}}), make("anet", {{"id", "3"}})}));
    EXPECT_THAT(report.errors,
                ElementsAre("anet 1: mac-address 02:00:00:00:00:01 is already used by another anet."));
}

TEST(Verify, Exclusions) {
    Config config =
        config_of({make("dedicated-cpu", {{"ncpus", "2"}}), make("capped-cpu", {{"ncpus", "1"}})});
    ASSERT_TRUE(config.set_global("pool", "p"));
    ASSERT_TRUE(config.set_global("cpu-shares", "3"));
    ASSERT_TRUE(config.set_global("initrd", "/boot/initrd"));
    EXPECT_THAT(
        verify(config).errors,
        ElementsAre("pool and dedicated-cpu exclude each other.",
                    "cpu-shares and dedicated-cpu exclude each other.",
                    "capped-cpu and dedicated-cpu exclude each other.",
                    "kernel: Required property missing\ninitrd is set, and is only used with kernel."));
}

TEST(Verify, SuspendImageMayNotOverwriteADisk) {
    EXPECT_THAT(verify(config_of({make("device", {{"id", "0"}, {"storage", "dev:/dev/sdb"}}),
                                  make("suspend", {{"path", "/dev/sdb"}})}))
                    .errors,
                ElementsAre("suspend: /dev/sdb is the storage of device 0."));
    EXPECT_FALSE(verify(config_of({make("device", {{"id", "0"}, {"storage", "nfs://h/s/f"}}),
                                   make("suspend", {{"storage", "nfs://h/s/f"}})}))
                     .ok());
}

TEST(Verify, NotesWhatIsWithoutEffect) {
    Config config = config_of({make("anet", {{"id", "0"}, {"rxrings", "4"}, {"iov", "off"}, {"lro", "on"}}),
                               make("verified-boot", {}), make("capped-cpu", {{"ncpus", "1"}}),
                               make("device", {{"id", "0"}, {"match", "/dev/a"}})});
    ASSERT_TRUE(config.set_global("pool", "p"));
    ASSERT_TRUE(config.set_global("cpu-shares", "2"));
    const Report report = verify(config);
    EXPECT_TRUE(report.ok());
    EXPECT_THAT(
        report.notes,
        ElementsAre("pool: without effect on Linux", "cpu-shares: not applied by this version",
                    "anet 0: rxrings: without effect on Linux", "anet 0: lro: without effect on Linux",
                    "capped-cpu: not applied by this version", "verified-boot: without effect on Linux"));
}

TEST(Export, DeterministicAndWithoutSecretsOnRequest) {
    Config config("z");
    config.add(make("suspend", {{"path", "/s/two words"}}));
    config.add(make("capped-memory", {{"physical", "4G"}}));
    ASSERT_TRUE(config.set_keysource_raw("00112233445566778899aabbccddeeff"));
    ASSERT_TRUE(config.set_global("bootargs", "quiet console=hvc0"));
    const std::string plain =
        "create -b\nset brand=linux-kz\nset autoboot=false\nset autoshutdown=shutdown\n"
        "set bootargs=\"quiet console=hvc0\"\n"
        "add capped-memory\nset physical=4G\nend\n"
        "add suspend\nset path=\"/s/two words\"\nend\n";
    EXPECT_EQ(export_text(config, false), plain);
    EXPECT_EQ(export_text(config, true),
              plain + "add keysource\nset raw=00112233445566778899aabbccddeeff\nend\n");
}

}  // namespace
}  // namespace kz::zone
