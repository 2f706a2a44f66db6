#include "store/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "../support/temp_folder.h"
#include "os/uuid.h"
#include "store/host.h"

namespace kz::store {
namespace {

class StatusTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(registry_.save_config(zone::Config("ant1")));
        ZoneRecord record;
        record.uuid = "u1";
        record.state = zone::State::installed;
        record.aux = {zone::Aux::suspended};
        ASSERT_TRUE(registry_.put_record("ant1", record));
    }
    static RuntimeRecord running(std::optional<ProcessIdentity> monitor,
                                 std::optional<ProcessIdentity> qemu) {
        RuntimeRecord record;
        record.zone_id = 5;
        record.state = zone::State::running;
        record.aux = {zone::Aux::migrating_out};
        record.monitor = monitor;
        record.qemu = qemu;
        record.machine_type = "pc-q35-7.2";
        record.qemu_version = "7.2.9";
        record.started = "2026-11-22T02:30:00.123Z";
        record.details["console"] = "hvc0";
        return record;
    }
    static ProcessIdentity dead() {
        ProcessIdentity gone = *identify_process(::getpid());
        gone.start_time += 1;  // the same pid, another process
        return gone;
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    Registry registry_ = *Registry::open(paths_);
};

TEST_F(StatusTest, WithoutAMachineTheRecordCounts) {
    const ZoneStatus status = *status_of(registry_, "ant1");
    EXPECT_EQ(status.name, "ant1");
    EXPECT_FALSE(status.id);
    EXPECT_EQ(status.state, zone::State::installed);
    EXPECT_EQ(status.aux.text(), "suspended");
    EXPECT_EQ(status.uuid, "u1");
    EXPECT_EQ(status.brand, zone::Config("x").brand());
    EXPECT_FALSE(status.has_monitor || status.has_machine);
}

TEST_F(StatusTest, RunningZoneShowsWhatRuns) {
    const ProcessIdentity us = *identify_process(::getpid());
    ASSERT_TRUE(save_runtime(paths_, "ant1", running(us, us)));
    ZoneStatus status = *status_of(registry_, "ant1");
    EXPECT_EQ(status.id, 5);
    EXPECT_EQ(status.state, zone::State::running);
    EXPECT_EQ(status.aux.text(), "migrating-out");
    EXPECT_EQ(status.uuid, "u1");
    EXPECT_TRUE(status.has_monitor && status.has_machine);
    // A monitor that was killed does not stop the zone.
    ASSERT_TRUE(save_runtime(paths_, "ant1", running(dead(), us)));
    status = *status_of(registry_, "ant1");
    EXPECT_EQ(status.state, zone::State::running);
    EXPECT_FALSE(status.has_monitor);
    EXPECT_TRUE(status.has_machine);
}

TEST_F(StatusTest, CrashedZoneReadsAsInstalled) {
    ASSERT_TRUE(save_runtime(paths_, "ant1", running(dead(), dead())));
    const ZoneStatus status = *status_of(registry_, "ant1");
    EXPECT_EQ(status.state, zone::State::installed);
    EXPECT_FALSE(status.id);
    EXPECT_EQ(status.aux.text(), "suspended");
}

TEST_F(StatusTest, ZoneWithoutAConfigurationIsIncomplete) {
    ASSERT_TRUE(remove_file(paths_.config_file("ant1")));
    const ZoneStatus status = *status_of(registry_, "ant1");
    EXPECT_EQ(status.state, zone::State::incomplete);
    EXPECT_TRUE(status.aux.contains(zone::Aux::no_config));
    EXPECT_EQ(status_of(registry_, "none").error().message(), "No such zone configured");
}

TEST_F(StatusTest, OneDamagedFileDoesNotHideTheOthers) {
    ASSERT_TRUE(registry_.save_config(zone::Config("bad")));
    std::filesystem::create_directories(paths_.zone_dir("bad"));
    std::ofstream(paths_.zone_dir("bad") / "state.json") << "{";
    const std::vector<ZoneStatus> all = *list_statuses(registry_);
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].name, "ant1");
    EXPECT_EQ(all[1].name, "bad");
    EXPECT_EQ(all[1].state, zone::State::unavailable);
    EXPECT_THAT(all[1].reason, testing::HasSubstr("not valid JSON"));
}

TEST_F(StatusTest, ListsAThousandZonesInNoTime) {
    for (int i = 0; i < 1000; ++i) {
        const std::string name = fmt::format("z{:04}", i);
        std::ofstream(paths_.config_file(name)) << "create -b\nset brand=linux-kz\nset autoboot=false\n"
                                                   "add device\nset storage=file:///z/disk0\nset id=0\nend\n";
        std::filesystem::create_directories(paths_.zone_dir(name));
        std::ofstream(paths_.zone_dir(name) / "state.json")
            << R"({"format":1,"uuid":"u","state":"installed","aux":"","reason":""})";
    }
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(list_statuses(registry_)->size(), 1001U);
    const auto took = std::chrono::steady_clock::now() - start;
    RecordProperty("milliseconds", std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
    EXPECT_LT(took, std::chrono::seconds(2));
}

TEST_F(StatusTest, RuntimeRecordIsKeptWhole) {
    const RuntimeRecord record = running(ProcessIdentity{12, 34}, std::nullopt);
    ASSERT_TRUE(save_runtime(paths_, "ant1", record));
    const RuntimeRecord read = *load_runtime(paths_, "ant1");
    EXPECT_EQ(read.zone_id, 5);
    EXPECT_EQ(read.state, zone::State::running);
    EXPECT_EQ(read.aux, record.aux);
    EXPECT_EQ(read.monitor, record.monitor);
    EXPECT_EQ(read.qemu, std::nullopt);
    EXPECT_EQ(read.machine_type, "pc-q35-7.2");
    EXPECT_EQ(read.qemu_version, "7.2.9");
    EXPECT_EQ(read.started, record.started);
    EXPECT_EQ(read.details, record.details);
    EXPECT_EQ(*read_file(paths_.zone_run_dir("ant1") / "runtime.json", 4096),
              *read_file(Path(KZ_TEST_DATA) / "runtime.json", 4096));
    ASSERT_TRUE(remove_runtime(paths_, "ant1"));
    EXPECT_EQ(load_runtime(paths_, "ant1").error().code(), Errc::not_found);
    EXPECT_TRUE(remove_runtime(paths_, "ant1"));
}

TEST_F(StatusTest, DamagedRuntimeRecordIsAnError) {
    std::filesystem::create_directories(paths_.zone_run_dir("ant1"));
    std::ofstream(paths_.zone_run_dir("ant1") / "runtime.json")
        << R"({"format":1,"zone_id":1,"state":"running","aux":"","qemu":{"pid":0,"start_time":1}})";
    EXPECT_EQ(status_of(registry_, "ant1").error().code(), Errc::corrupt);
}

TEST_F(StatusTest, ZoneIdsAreNeverGivenTwice) {
    std::vector<std::jthread> threads;
    std::array<std::vector<int>, 4> got;
    for (std::vector<int>& mine : got) {
        threads.emplace_back([&] {
            for (int i = 0; i < 10; ++i)
                mine.push_back(next_zone_id(paths_).value_or(-1));
        });
    }
    threads.clear();
    std::vector<int> all;
    for (const std::vector<int>& mine : got)
        all.insert(all.end(), mine.begin(), mine.end());
    std::ranges::sort(all);
    for (int i = 0; i < 40; ++i)
        EXPECT_EQ(all[static_cast<std::size_t>(i)], i + 1);
}

TEST_F(StatusTest, HostIdentityIsMadeOnce) {
    std::vector<std::jthread> threads;
    std::array<std::string, 4> ids;
    for (std::string& id : ids)
        threads.emplace_back([&] { id = host_identity(paths_)->id; });
    threads.clear();
    EXPECT_TRUE(is_uuid(ids[0]));
    for (const std::string& id : ids)
        EXPECT_EQ(id, ids[0]);
    const HostIdentity host = *host_identity(paths_);
    EXPECT_FALSE(host.name.empty());
    EXPECT_TRUE(host.owns(host.as_owner()));
    EXPECT_FALSE(host.owns({"another", host.name}));
    std::ofstream(paths_.etc_zones() / "host-id") << "garbage\n";
    EXPECT_EQ(host_identity(paths_).error().code(), Errc::corrupt);
}

}  // namespace
}  // namespace kz::store
