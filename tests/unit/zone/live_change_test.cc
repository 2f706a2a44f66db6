#include "zone/live_change.h"

#include <gmock/gmock.h>

namespace kz::zone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = LiveChange::Kind;
using Values = std::initializer_list<std::pair<std::string_view, std::string_view>>;

constexpr LiveLimits kLimits{.boot_memory = 512ULL << 20,
                             .has_balloon = true,
                             .max_cpus = 4,
                             .cpus_leave = true,
                             .disk_ports = 4,
                             .nic_ports = 2};

void add(Config& config, std::string_view type, Values values) {
    Resource resource(*find_resource(type));
    for (const auto& [name, value] : values)
        ASSERT_TRUE(resource.set(name, value)) << name;
    config.add(std::move(resource));
}

Config zone() {
    Config config("z");
    add(config, "device", {{"storage", "file:///d0"}, {"id", "0"}, {"bootpri", "0"}});
    add(config, "anet", {{"id", "0"}});
    add(config, "capped-memory", {{"physical", "512M"}});
    add(config, "virtual-cpu", {{"ncpus", "2"}});
    return config;
}

std::vector<std::string> texts(const LivePlan& plan) {
    std::vector<std::string> all;
    for (const LiveChange& change : plan.changes)
        all.push_back(change.text);
    return all;
}

// What comes out when all that is planned is done.
Config done(const Config& live, const Config& wanted, const LivePlan& plan) {
    Config config = live;
    for (const LiveChange& change : plan.changes)
        config = with_change(config, wanted, change);
    return with_other_properties(config, wanted);
}

void set(Config& config, std::string_view type, std::size_t position, std::string_view property,
         std::string_view value) {
    Resource resource = *config.at(type, position);
    ASSERT_TRUE(resource.set(property, value));
    config.replace(type, position, std::move(resource));
}

TEST(LivePlan, NothingToDo) {
    EXPECT_EQ(plan_live_changes(zone(), zone(), kLimits), LivePlan{});
}

TEST(LivePlan, EverythingAtOnceInAnOrderThatWorks) {
    Config live = zone();
    add(live, "device", {{"storage", "file:///old"}, {"id", "1"}});
    add(live, "anet", {{"id", "1"}});
    Config wanted = zone();
    add(wanted, "device", {{"storage", "file:///new"}, {"id", "1"}});
    add(wanted, "device", {{"match", "/dev/sdb"}, {"id", "2"}});
    set(wanted, "anet", 0, "vlan-id", "10");
    set(wanted, "capped-memory", 0, "physical", "256M");
    set(wanted, "virtual-cpu", 0, "ncpus", "4");
    const LivePlan plan = plan_live_changes(live, wanted, kLimits);
    EXPECT_THAT(texts(plan),
                ElementsAre("Removing device storage=file:///old", "Removing anet id=1",
                            "Modifying anet id=0 vlan-id=10", "Adding device storage=file:///new",
                            "Adding device match=/dev/sdb", "Modifying capped-memory physical=256M",
                            "Modifying virtual-cpu ncpus=4"));
    EXPECT_THAT(plan.later, IsEmpty());
    EXPECT_THAT(plan.errors, IsEmpty());
    EXPECT_EQ(done(live, wanted, plan), wanted);
    EXPECT_EQ(plan_live_changes(done(live, wanted, plan), wanted, kLimits), LivePlan{});
}

TEST(LivePlan, EachChangeAloneIsRecordedAlone) {
    Config wanted = zone();
    add(wanted, "device", {{"storage", "file:///d1"}, {"id", "1"}});
    set(wanted, "virtual-cpu", 0, "ncpus", "3");
    const LivePlan plan = plan_live_changes(zone(), wanted, kLimits);
    ASSERT_EQ(plan.changes.size(), 2U);
    const Config first = with_change(zone(), wanted, plan.changes[0]);
    EXPECT_EQ(first.devices().size(), 2U);
    EXPECT_EQ(first.cpu_count(), 2U);
}

TEST(LivePlan, MemoryThatTheGuestKeptIsRecordedAsItIs) {
    const Config live = with_change(zone(), zone(), {Kind::memory, 0, 300ULL << 20, {}});
    EXPECT_EQ(live.memory_bytes(), 300ULL << 20);
}

struct Later {
    std::string name;
    void (*change)(Config& config);
    std::string message;
};

class WaitsForTheBoot : public testing::TestWithParam<Later> {};

TEST_P(WaitsForTheBoot, AndSaysWhy) {
    Config wanted = zone();
    GetParam().change(wanted);
    const LivePlan plan = plan_live_changes(zone(), wanted, kLimits);
    EXPECT_THAT(plan.changes, IsEmpty());
    EXPECT_THAT(plan.errors, IsEmpty());
    EXPECT_THAT(plan.later, ElementsAre(HasSubstr(GetParam().message)));
    EXPECT_EQ(done(zone(), wanted, plan), zone());
}

INSTANTIATE_TEST_SUITE_P(
    All, WaitsForTheBoot,
    testing::Values(
        Later{"memory", [](Config& c) { set(c, "capped-memory", 0, "physical", "1G"); },
              "physical=1G: more than the 512M that the zone was booted with"},
        Later{"cpus", [](Config& c) { set(c, "virtual-cpu", 0, "ncpus", "5"); },
              "ncpus=5: the running machine"},
        Later{"arch", [](Config& c) { ASSERT_TRUE(c.set_global("cpu-arch", "generic")); },
              "cpu-arch=generic"},
        Later{"mtu", [](Config& c) { set(c, "anet", 0, "mtu", "1400"); }, "anet 0: mtu=1400"},
        Later{"bootpri", [](Config& c) { set(c, "device", 0, "bootpri", "3"); }, "device 0: bootpri"},
        Later{"device", [](Config& c) { add(c, "device", {{"storage", "file:///d9"}, {"id", "9"}}); },
              "device 9: the running machine has room for ids 0 to 3"},
        Later{"anet", [](Config& c) { add(c, "anet", {{"id", "2"}}); },
              "anet 2: the running machine has room"}),
    [](const auto& each) { return each.param.name; });

TEST(LivePlan, MachinesOfEarlierVersionsKeepTheirMemory) {
    LiveLimits limits = kLimits;
    limits.has_balloon = false;
    Config wanted = zone();
    set(wanted, "capped-memory", 0, "physical", "256M");
    EXPECT_THAT(plan_live_changes(zone(), wanted, limits).later,
                ElementsAre(HasSubstr("could not change it")));
}

TEST(LivePlan, ProcessorsStayWhereQemuCannotTakeThemAway) {
    LiveLimits limits = kLimits;
    limits.cpus_leave = false;
    Config wanted = zone();
    set(wanted, "virtual-cpu", 0, "ncpus", "1");
    EXPECT_THAT(texts(plan_live_changes(zone(), wanted, kLimits)),
                ElementsAre("Modifying virtual-cpu ncpus=1"));
    EXPECT_THAT(plan_live_changes(zone(), wanted, limits).later, ElementsAre(HasSubstr("under KVM only")));
    set(wanted, "virtual-cpu", 0, "ncpus", "3");
    EXPECT_THAT(plan_live_changes(zone(), wanted, limits).later, IsEmpty());
}

TEST(LivePlan, TheBootDiskStays) {
    for (void (*change)(Config&) : {
             +[](Config& c) { c.remove("device", 0); },
             +[](Config& c) { set(c, "device", 0, "storage", "file:///other"); },
             +[](Config& c) { set(c, "device", 0, "id", "3"); },
         }) {
        Config wanted = zone();
        change(wanted);
        EXPECT_THAT(plan_live_changes(zone(), wanted, kLimits).errors, ElementsAre(HasSubstr("boots from")));
    }
}

TEST(LivePlan, NoDiskComesBeforeTheBootDisk) {
    Config live("z");
    add(live, "device", {{"storage", "file:///d0"}, {"id", "0"}});
    Config wanted = live;
    add(wanted, "device", {{"storage", "file:///d1"}, {"id", "1"}, {"bootpri", "0"}});
    EXPECT_THAT(plan_live_changes(live, wanted, kLimits).errors, ElementsAre(HasSubstr("boots from")));
}

TEST(LivePlan, WhatDoesNotConcernTheMachineIsTakenOver) {
    Config wanted = zone();
    ASSERT_TRUE(wanted.set_global("autoboot", "true"));
    add(wanted, "suspend", {{"path", "/s"}});
    const LivePlan plan = plan_live_changes(zone(), wanted, kLimits);
    EXPECT_EQ(plan, LivePlan{});
    EXPECT_EQ(done(zone(), wanted, plan), wanted);
}

TEST(MachinePart, LeavesTheRestAndTheKeyOut) {
    Config config = zone();
    ASSERT_TRUE(config.set_keysource_raw(std::string(64, 'a')));
    ASSERT_TRUE(config.set_global("autoboot", "true"));
    const Config part = machine_part(config);
    EXPECT_FALSE(part.keysource_raw());
    EXPECT_FALSE(part.autoboot());
    EXPECT_EQ(with_machine_part(config, part), config);
}

TEST(RoundedSize, ForPeople) {
    EXPECT_EQ(rounded_size(4ULL << 30), "4G");
    EXPECT_EQ(rounded_size((4ULL << 30) + (768ULL << 20)), "4.75G");
    EXPECT_EQ(rounded_size(10ULL << 30), "10G");
    EXPECT_EQ(rounded_size(512ULL << 20), "512M");
}

}  // namespace
}  // namespace kz::zone
