// The schema, property by property: what is accepted, in which canonical form, and what is refused.
#include <gtest/gtest.h>

#include <set>

#include "zone/config.h"
#include "zone/schema.h"

namespace kz::zone {
namespace {

// The value as stored, or the first line of the refusal.
std::string stored(std::string_view type, std::string_view property, std::string_view value) {
    std::string message;
    if (type.empty()) {
        Config config("z");
        const auto outcome = config.set_global(property, value);
        if (outcome) return config.global(property).value_or("(unset)");
        message = outcome.error().message();
    } else {
        Resource resource(*find_resource(type));
        const auto outcome = resource.set(property, value);
        if (outcome) return resource.get(property).value_or("(unset)");
        message = outcome.error().message();
    }
    return message.substr(0, message.find('\n'));
}

struct Case {
    std::string_view type;
    std::string_view property;
    std::string_view value;
    std::string_view expected;
};

constexpr Case kGlobals[] = {
    {"", "brand", "linux-kz", "linux-kz"},
    {"", "brand", "solaris-kz", "linux-kz"},
    {"", "brand", "lx", "Zone z uses non-existent brand \"lx\".  Unable to continue"},
    {"", "autoboot", "true", "true"},
    {"", "autoboot", "yes", "yes: Invalid argument"},
    {"", "autoboot", "", "false"},
    {"", "autoshutdown", "suspend", "suspend"},
    {"", "autoshutdown", "reboot", "reboot: Invalid argument"},
    {"", "boot-priority", "high", "high"},
    {"", "boot-priority", "9", "9: Invalid argument"},
    {"", "bootargs", "console=hvc0 quiet", "console=hvc0 quiet"},
    {"", "bootargs", "", "(unset)"},
    {"", "pool", "pool_default", "pool_default"},
    {"", "pool", "two words", "two words: Invalid argument"},
    {"", "cpu-shares", "20", "20"},
    {"", "cpu-shares", "0", "0: Invalid argument"},
    {"", "hostid", "0x2e7d2173", "0x2e7d2173"},
    {"", "hostid", "ABC", "0x00000abc"},
    {"", "hostid", "0xffffffff", "0xffffffff: Invalid argument"},
    {"", "host-compatible", "level1,memlzr", "level1,memlzr"},
    {"", "host-compatible", "level1,memlzrr", "memlzrr: Invalid argument"},
    {"", "cpu-arch", "migration-class1", "migration-class1"},
    {"", "file-mac-profile", "strict", "strict"},
    {"", "accel", "tcg", "tcg"},
    {"", "accel", "hvf", "hvf: Invalid argument"},
    {"", "machine", "pc-q35-7.2", "pc-q35-7.2"},
    {"", "machine", "q35,smm=on", "q35,smm=on: Invalid argument"},
    {"", "kernel", "/boot/vmlinuz", "/boot/vmlinuz"},
    {"", "kernel", "vmlinuz", "vmlinuz: Invalid argument"},
    {"", "firmware", "uefi", "uefi"},
    {"", "firmware", "openfirmware", "openfirmware: Invalid argument"},
    {"", "initrd", "/boot/../etc/shadow", "/boot/../etc/shadow: Invalid argument"},
    {"", "zonename", "-z", "-z: Invalid argument"},
    {"", "max-processes", "1", "max-processes: No such property type"},
};

constexpr Case kResources[] = {
    {"device", "storage", "nfs://u:g@h/share/f", "nfs://u:g@h/share/f"},
    {"device", "storage", "dev:/dev/sdb", "dev:/dev/sdb"},
    {"device", "storage", "lu:luname.naa.600144F0", "lu:luname.naa.600144F0"},
    {"device", "storage", "http://h/f", "http://h/f: Invalid argument"},
    {"device", "storage", "iscsi://", "iscsi://: Invalid argument"},
    {"device", "storage", "file:///a b", "file:///a b: Invalid argument"},
    {"device", "storage.template", "file:///z/%{zonename}/%{id}", "file:///z/%{zonename}/%{id}"},
    {"device", "storage.template", "file:///z/%{host}", "file:///z/%{host}: Invalid argument"},
    {"device", "match", "/dev/sdb", "/dev/sdb"},
    {"device", "match", "/etc/passwd", "/etc/passwd: Invalid argument"},
    {"device", "match", "/dev/../etc/passwd", "/dev/../etc/passwd: Invalid argument"},
    {"device", "id", "5", "5"},
    {"device", "id", "-1", "-1: Invalid argument"},
    {"device", "bootpri", "007", "7"},
    {"device", "bootpri", "99999", "99999: Invalid argument"},
    {"suspend", "path", "/s/a.sus", "/s/a.sus"},
    {"suspend", "path", "a.sus", "a.sus: Invalid argument"},
    {"capped-memory", "physical", "4096M", "4G"},
    {"capped-memory", "physical", "4g", "4G"},
    {"capped-memory", "physical", "4097K", "4097K: Invalid argument"},
    {"capped-memory", "physical", "30M", "30M: Invalid argument"},
    {"capped-memory", "physical", "99999999T", "99999999T: Invalid argument"},
    {"capped-memory", "pagesize-policy", "fixed", "fixed"},
    {"virtual-cpu", "ncpus", "4", "4"},
    {"virtual-cpu", "ncpus", "0", "0: Invalid argument"},
    {"virtual-cpu", "ncpus", "2-4", "2-4: Invalid argument"},
    {"dedicated-cpu", "ncpus", "2-4", "2-4"},
    {"dedicated-cpu", "ncpus", "4-2", "4-2: Invalid argument"},
    {"dedicated-cpu", "cpus", "0-3,8", "0-3,8"},
    {"dedicated-cpu", "cpus", "0-3,", "cpus: Invalid argument"},
    {"capped-cpu", "ncpus", "1.5", "1.50"},
    {"capped-cpu", "ncpus", "0.00", "0.00: Invalid argument"},
    {"capped-cpu", "ncpus", ".5", ".5: Invalid argument"},
    {"anet", "mac-address", "2:8:20:A:1:c3", "02:08:20:0a:01:c3"},
    {"anet", "mac-address", "3:8:20:a:1:c3", "3:8:20:a:1:c3: Invalid argument"},
    {"anet", "mac-address", "2:8:20:a:1", "2:8:20:a:1: Invalid argument"},
    {"anet", "mac-prefix", "2:8:20", "02:08:20"},
    {"anet", "allowed-address", "192.0.2.1/24,2001:db8::1/64", "192.0.2.1/24,2001:db8::1/64"},
    {"anet", "allowed-address", "192.0.2.1/33", "192.0.2.1/33: Invalid argument"},
    {"anet", "defrouter", "192.0.2.254", "192.0.2.254"},
    {"anet", "defrouter", "router", "router: Invalid argument"},
    {"anet", "lower-link", "kzbr0", "kzbr0"},
    {"anet", "lower-link", "../net", "../net: Invalid argument"},
    {"anet", "link-protection", "mac-nospoof,ip-nospoof", "mac-nospoof,ip-nospoof"},
    {"anet", "vlan-id", "4095", "4095: Invalid argument"},
    {"anet", "mtu", "9000", "9000"},
    {"anet", "mtu", "67", "67: Invalid argument"},
    {"anet", "maxbw", "100M", "100M"},
    {"anet", "iov", "sometimes", "sometimes: Invalid argument"},
    {"keysource", "raw", "00112233445566778899AABBCCDDEEFF", "00112233445566778899aabbccddeeff"},
    {"keysource", "raw", "00112233", "raw: Invalid argument"},
    {"verified-boot", "policy", "enforce", "enforce"},
    {"verified-boot", "policy", "", "warning"},
    {"attr", "type", "float", "float: Invalid argument"},
    {"admin", "auths", "login,manage", "login,manage"},
    {"admin", "auths", "login,root", "root: Invalid argument"},
};

TEST(Checks, Globals) {
    for (const Case& c : kGlobals)
        EXPECT_EQ(stored(c.type, c.property, c.value), c.expected) << c.property;
}

TEST(Checks, Resources) {
    for (const Case& c : kResources)
        EXPECT_EQ(stored(c.type, c.property, c.value), c.expected) << c.type << ' ' << c.property;
}

TEST(Checks, RefusalSaysWhatIsExpected) {
    Resource memory(*find_resource("capped-memory"));
    const auto outcome = memory.set("physical", "lots");
    ASSERT_FALSE(outcome);
    EXPECT_EQ(
        outcome.error().message(),
        "lots: Invalid argument\nphysical must be a size such as 4G, a multiple of 2M and at least 32M.");
    EXPECT_FALSE(memory.has("physical"));
}

TEST(Checks, TextMayNotHoldControlCharacters) {
    Config config("z");
    EXPECT_FALSE(config.set_global("bootargs", "a\nb"));
    EXPECT_FALSE(config.set_global("bootargs", std::string(5000, 'x')));
}

TEST(Schema, RowsAreSound) {
    for (const ResourceSpec& type : resource_specs()) {
        std::set<std::string_view> names;
        for (const PropertySpec& spec : type.properties) {
            EXPECT_TRUE(names.insert(spec.name).second) << type.type << ' ' << spec.name;
            ASSERT_NE(spec.check, nullptr) << type.type << ' ' << spec.name;
            EXPECT_FALSE(spec.hint.empty()) << type.type << ' ' << spec.name;
            if (!spec.initial.empty()) {
                EXPECT_EQ(spec.check(spec, spec.initial), std::string(spec.initial));
            }
        }
        for (const PropertySpec& spec : type.properties)
            for (const auto& field : {spec.excludes, spec.replaces, spec.expands, spec.hidden_by})
                for (const std::string& name : field_words(field))
                    EXPECT_TRUE(names.contains(name)) << name;
        for (const std::string& name : field_words(type.unique))
            EXPECT_TRUE(names.contains(name)) << name;
        if (!type.parent.empty()) {
            EXPECT_NE(find_resource(type.parent), nullptr);
        }
        EXPECT_TRUE(type.singleton || !type.unique.empty()) << type.type;
        EXPECT_FALSE(type.help.empty()) << type.type;
    }
    for (const PropertySpec& spec : global_specs())
        if (!spec.initial.empty()) {
            EXPECT_EQ(spec.check(spec, spec.initial), std::string(spec.initial));
        }
}

}  // namespace
}  // namespace kz::zone
