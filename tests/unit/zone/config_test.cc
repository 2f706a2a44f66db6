#include "zone/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zone/pattern.h"

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

TEST(Config, NewOneHasDefaultsOnly) {
    const Config config("ant1");
    EXPECT_EQ(config.name(), "ant1");
    EXPECT_EQ(config.brand(), "linux-kz");
    EXPECT_FALSE(config.autoboot());
    EXPECT_EQ(config.bootargs(), "");
    EXPECT_EQ(config.memory_bytes(), std::uint64_t{4} << 30);
    EXPECT_EQ(config.cpu_count(), 1u);
    EXPECT_EQ(config.accel(), "auto");
    EXPECT_EQ(config.machine() + config.kernel() + config.initrd() + config.cpu_arch() + config.hostid(), "");
    EXPECT_THAT(config.devices(), IsEmpty());
    EXPECT_FALSE(config.suspend());
    EXPECT_FALSE(config.keysource_raw());
}

TEST(Config, ClearingRestoresTheInitialValueOrIsRefused) {
    Config config("z");
    ASSERT_TRUE(config.set_global("autoboot", "true"));
    EXPECT_TRUE(config.autoboot());
    ASSERT_TRUE(config.clear_global("autoboot"));
    EXPECT_EQ(config, Config("z"));
    EXPECT_EQ(config.clear_global("brand").error().message(), "brand: Clearing property is not allowed");
}

TEST(Config, ProcessorsAndMemory) {
    Config config("z");
    config.add(make("dedicated-cpu", {{"ncpus", "2-6"}}));
    EXPECT_EQ(config.cpu_count(), 2u);
    config.add(make("virtual-cpu", {{"ncpus", "4"}}));
    EXPECT_EQ(config.cpu_count(), 4u);
    config.add(make("capped-memory", {{"physical", "512M"}}));
    EXPECT_EQ(config.memory_bytes(), std::uint64_t{512} << 20);
}

TEST(Config, DevicesInBootOrder) {
    Config config("z");
    config.add(make("device", {{"id", "0"}, {"storage", "dev:/dev/a"}}));
    config.add(make("device", {{"id", "3"}, {"storage", "dev:/dev/b"}, {"bootpri", "1"}}));
    config.add(make("device", {{"id", "2"}, {"storage", "dev:/dev/c"}, {"bootpri", "1"}}));
    config.add(make("device", {{"id", "4"}, {"match", "/dev/d"}, {"bootpri", "0"}}));
    std::vector<unsigned> ids;
    for (const Device& device : config.devices())
        ids.push_back(device.id);
    EXPECT_THAT(ids, ElementsAre(4u, 2u, 3u, 0u));
    EXPECT_EQ(config.devices()[0].storage, "dev:/dev/d");
    EXPECT_EQ(config.devices()[0].match, "/dev/d");
    EXPECT_FALSE(config.devices()[3].bootpri);
}

TEST(Config, TemplatesExpand) {
    Config config("mig1");
    config.add(make("device", {{"id", "7"}, {"storage.template", "nfs://u:g@h/s/%{zonename}.disk%{id}"}}));
    EXPECT_EQ(config.devices()[0].storage, "nfs://u:g@h/s/mig1.disk7");
    config.set_name("mig2");
    EXPECT_EQ(config.devices()[0].storage, "nfs://u:g@h/s/mig2.disk7");
}

TEST(Config, StorageAndItsTemplateTakeEachOthersPlace) {
    Resource device = make("device", {{"storage.template", "file:///z/%{id}"}, {"storage", "dev:/dev/a"}});
    EXPECT_FALSE(device.has("storage.template"));
    ASSERT_TRUE(device.set("storage.template", "file:///z/%{id}"));
    EXPECT_FALSE(device.has("storage"));
    const auto outcome = device.set("match", "/dev/b");
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().message(),
              "match: Invalid argument\nmatch and storage.template exclude each other; clear "
              "storage.template first.");
}

TEST(Config, AnetsById) {
    Config config("z");
    config.add(make("anet", {{"id", "1"}, {"vlan-id", "12"}, {"mtu", "9000"}}));
    config.add(make(
        "anet", {{"id", "0"}, {"configure-allowed-address", "false"}, {"allowed-address", "10.0.0.1/8"}}));
    const auto anets = config.anets();
    ASSERT_EQ(anets.size(), 2u);
    EXPECT_EQ(anets[0].allowed_address, "10.0.0.1/8");
    EXPECT_FALSE(anets[0].configure_allowed_address);
    EXPECT_EQ(anets[0].lower_link, "auto");
    EXPECT_EQ(anets[0].mac_address, "auto");
    EXPECT_FALSE(anets[0].mtu);
    EXPECT_EQ(anets[1].vlan_id, 12u);
    EXPECT_EQ(anets[1].mtu, 9000u);
}

TEST(Config, ResourcesStandInTheOrderOfTheSchema) {
    Config config("z");
    config.add(make("suspend", {{"path", "/s"}}));
    config.add(make("device", {{"id", "1"}}));
    config.add(make("anet", {{"id", "0"}}));
    EXPECT_EQ(config.add(make("device", {{"id", "0"}})), 1u);
    std::vector<std::string> types;
    for (const Resource& resource : config.resources())
        types.push_back(resource.type());
    EXPECT_THAT(types, ElementsAre("anet", "device", "device", "suspend"));
    config.remove("device", 0);
    EXPECT_EQ(config.find("device")->get("id"), "0");
    config.remove("device", 5);
    EXPECT_EQ(config.resources().size(), 3u);
    EXPECT_EQ(config.at("device", 1), nullptr);
}

TEST(Config, Keysource) {
    Config config("z");
    ASSERT_TRUE(config.set_keysource_raw("00112233445566778899aabbccddeeff"));
    ASSERT_TRUE(config.set_keysource_raw("ff112233445566778899aabbccddeeff"));
    EXPECT_EQ(config.keysource_raw(), "ff112233445566778899aabbccddeeff");
    EXPECT_EQ(config.resources("keysource").size(), 1u);
    EXPECT_FALSE(config.set_keysource_raw("secret"));
    EXPECT_EQ(config.keysource_raw(), "ff112233445566778899aabbccddeeff");
    config.clear_keysource();
    EXPECT_EQ(config, Config("z"));
}

TEST(Config, Lists) {
    Resource boot(*find_resource("verified-boot"));
    ASSERT_TRUE(boot.add_item("cert", std::string("file:///a")));
    ASSERT_TRUE(boot.add_item("cert", std::string("file:///b c")));
    EXPECT_FALSE(boot.add_item("cert", std::string("file:///a"))) << "twice";
    EXPECT_FALSE(boot.add_item("cert", std::string{})) << "empty";
    EXPECT_FALSE(boot.add_item("policy", std::string("none"))) << "not a list";
    EXPECT_EQ(boot.get("cert"), "[file:///a,\"file:///b c\"]");
    EXPECT_EQ(boot.remove_item("cert", std::string("file:///x")).error().message(),
              "file:///x: No such property with that id");
    ASSERT_TRUE(boot.remove_item("cert", std::string("file:///a")));
    ASSERT_TRUE(boot.remove_item("cert", std::string("file:///b c")));
    EXPECT_FALSE(boot.has("cert"));
}

TEST(Config, ResourceControlsTakeComplexValuesOnly) {
    Resource rctl(*find_resource("rctl"));
    EXPECT_FALSE(rctl.add_item("value", std::string("(priv=privileged,limit=1,action=none)")));
    EXPECT_FALSE(
        rctl.add_item("value", ComplexValue{{"priv", "basic"}, {"limit", "many"}, {"action", "none"}}));
    EXPECT_FALSE(rctl.add_item("value", ComplexValue{{"priv", "basic"}}));
    EXPECT_TRUE(rctl.add_item("value", ComplexValue{{"priv", "basic"}, {"limit", "5"}, {"action", "none"}}));
    EXPECT_FALSE(rctl.set("value", PropertyValue(std::string("5")))) << "a refused set changes nothing";
    EXPECT_EQ(rctl.get("value"), "[(priv=basic,limit=5,action=none)]");
}

TEST(Differences, NoneForEqual) {
    Config config("z");
    config.add(make("device", {{"id", "0"}, {"storage", "dev:/dev/a"}}));
    EXPECT_THAT(differences(config, config), IsEmpty());
    EXPECT_THAT(machine_differences(config, config), IsEmpty());
}

TEST(Differences, OneLineEach) {
    Config a("z");
    a.add(make("device", {{"id", "0"}, {"storage", "dev:/dev/a"}}));
    a.add(make("device", {{"id", "1"}, {"storage", "dev:/dev/b"}}));
    ASSERT_TRUE(a.set_keysource_raw("00112233445566778899aabbccddeeff"));
    Config b("z");
    ASSERT_TRUE(b.set_global("autoboot", "true"));
    b.add(make("device", {{"id", "0"}, {"storage", "dev:/dev/c"}, {"bootpri", "0"}}));
    b.add(make("suspend", {{"path", "/s"}}));
    ASSERT_TRUE(b.set_keysource_raw("ff112233445566778899aabbccddeeff"));
    EXPECT_THAT(differences(a, b), ElementsAre("autoboot: 'false' and 'true'",
                                               "device 0: storage: 'dev:/dev/a' and 'dev:/dev/c'",
                                               "device 0: bootpri: not specified and '0'",
                                               "device 1: only in the first", "suspend: only in the second"));
    EXPECT_THAT(machine_differences(a, b),
                ElementsAre("device 0: storage: 'dev:/dev/a' and 'dev:/dev/c'",
                            "device 0: bootpri: not specified and '0'", "device 1: only in the first"));
}

TEST(Differences, PatternsCompareByWhatTheyMean) {
    Config a("z");
    a.add(make("device", {{"id", "0"}, {"storage.template", "file:///x/%{zonename}%{id}"}}));
    Config b("z");
    b.add(make("device", {{"id", "0"}, {"storage", "file:///x/z0"}}));
    EXPECT_THAT(differences(a, b), IsEmpty());
}

TEST(Differences, MachineComparesAmounts) {
    Config a("z");
    a.add(make("capped-memory", {{"physical", "4G"}}));
    Config b("z");
    EXPECT_THAT(machine_differences(a, b), IsEmpty()) << "4G is the default";
    b.add(make("virtual-cpu", {{"ncpus", "2"}}));
    EXPECT_THAT(machine_differences(a, b), ElementsAre("virtual-cpu: ncpus: 1 and 2"));
}

TEST(Pattern, UnknownOnesAreFound) {
    EXPECT_EQ(expand_pattern("%{zonename}-%{id}-%", "z", "1"), "z-1-%");
    EXPECT_FALSE(pattern_is_known("%{global-rootzpool}"));
    EXPECT_TRUE(pattern_is_known("no pattern"));
}

}  // namespace
}  // namespace kz::zone
