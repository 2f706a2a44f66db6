#include "store/boot_disk.h"

#include <gtest/gtest.h>

#include "../support/temp_folder.h"
#include "os/file.h"
#include "storage/volume.h"
#include "zonecfg/parse_export.h"

namespace kz::store {
namespace {

constexpr const char* kUuid = "69ed2e6a-e25a-4d36-a022-ed7261ed8899";
constexpr const char* kOtherUuid = "11111111-2222-4333-8444-555555555555";
// As storage/host_data_disk.cc says it.
constexpr const char* kNoHostData =
    "the disk holds no host data; if the zone is on it all the same, make new ones (suspended memory is "
    "lost) "
    "with: attach -x initialize-hostdata";

constexpr const char* kFastSettings =
    "lease.renew = 10ms\nlease.pause = 100ms\nlease.fence = 150ms\nlease.takeover = 200ms\n"
    "lease.claim-wait = 100ms\nlease.claim-fresh = 50ms\nstorage.timeout = 90ms\n";

// Two hosts that reach one disk.
class BootDiskTest : public testing::Test {
  protected:
    struct Host {
        HostPaths paths;
        Registry registry = *Registry::open(paths);
        HostIdentity identity = *host_identity(paths);
    };

    void SetUp() override {
        ASSERT_TRUE(storage::create_volume(suri_, 4 << 20, {}).has_value());
        for (const Host* host : {&here_, &there_}) {
            ASSERT_TRUE(host->registry.save_config(config_).has_value());
            ASSERT_TRUE(
                write_file_atomic(host->paths.etc_zones() / "settings", kFastSettings, 0644).has_value());
        }
    }
    zone::Config config_with(const std::string& storage,
                             const std::string& key = std::string(32, 'a')) const {
        const std::string text = fmt::format(
            "create -b\nset brand=linux-kz\nadd device\nset storage={}\nset id=0\nset bootpri=0\nend\n"
            "add keysource\nset raw={}\nend\n",
            storage, key);
        return zonecfg::parse_export(text, "ant1").value();
    }
    BootDisk open(const Host& host) const { return BootDisk::open(host.registry, config_).value(); }
    storage::HostData on_disk() const { return open(here_).read().value(); }
    std::string in_use_by(const Host& host) const {
        storage::HostData data = on_disk();
        data.owner = host.identity.as_owner();
        return in_use_message("ant1", data);
    }
    template <typename T>
    static void expect_error(const Result<T>& result, Errc code, const std::string& message) {
        ASSERT_FALSE(result.has_value());
        EXPECT_EQ(result.error().code(), code);
        EXPECT_EQ(result.error().message(), message);
    }

    test::TempFolder folder_;
    Host here_{HostPaths(folder_.path() / "here")};
    Host there_{HostPaths(folder_.path() / "there")};
    storage::Suri suri_ = storage::Suri::of_file(folder_.path() / "disk0").value();
    zone::Config config_ = config_with(suri_.render());
};

TEST_F(BootDiskTest, TheMessageAboutAnotherHost) {
    storage::HostData data;
    data.owner = storage::Owner{"848611d4", "global2"};
    data.state = "installed";
    data.last_update = "2026-11-22T02:30:00.123Z";
    EXPECT_EQ(in_use_message("kzone1", data),
              "ERROR: zone kzone1 is in use by host with hostid 848611d4\n"
              "      last known state: installed\n"
              "              hostname: global2\n"
              "      last update time: 2026-11-22T02:30:00.123Z\n"
              "To fix, detach the zone from the other host then attach it to this host\n"
              "If the zone is not active on another host, attach it with\n"
              "   zoneadm -z kzone1 attach -x force-takeover");
}

TEST_F(BootDiskTest, TheFirstInBootOrderIsTheBootDisk) {
    const zone::Config config =
        zonecfg::parse_export(
            "create -b\nadd device\nset storage=file:///a\nset id=0\nend\nadd device\n"
            "set storage=file:///b\nset id=1\nset bootpri=0\nend\n",
            "ant1")
            .value();
    EXPECT_EQ(BootDisk::device_of(config)->id, 1U);
    expect_error(BootDisk::device_of(zone::Config("ant1")), Errc::invalid_argument,
                 "the zone has no device to boot from; add one with zonecfg: add device");
}

TEST_F(BootDiskTest, ADiskThatIsMissingOrNoneIsNamed) {
    const auto missing = BootDisk::open(here_.registry, config_with("file:///nonexistent/disk0"));
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code(), Errc::not_found);
    EXPECT_TRUE(missing.error().message().starts_with("device 0: ")) << missing.error().message();
    const storage::Suri small = storage::Suri::of_file(folder_.path() / "small").value();
    ASSERT_TRUE(storage::create_volume(small, 1 << 20, {}).has_value());
    const auto too_small = BootDisk::open(here_.registry, config_with(small.render()));
    ASSERT_FALSE(too_small.has_value());
    EXPECT_EQ(too_small.error().code(), Errc::invalid_argument);
}

TEST_F(BootDiskTest, WithoutAKeyNothingIsOpened) {
    zone::Config config = config_;
    config.clear_keysource();
    ASSERT_TRUE(here_.registry.save_config(config).has_value());
    expect_error(BootDisk::open(here_.registry, config), Errc::not_found,
                 fmt::format("the zone has no encryption key; import its configuration with the keysource "
                             "resource, or see {}",
                             here_.paths.key_file("ant1").string()));
}

TEST_F(BootDiskTest, ABlankDiskHasNoHostData) {
    expect_error(open(here_).read(), Errc::not_found, kNoHostData);
    expect_error(open(here_).read_owned(kUuid), Errc::not_found, kNoHostData);
    expect_error(open(here_).take(), Errc::not_found, kNoHostData);
    expect_error(open(here_).take({.by_force = true}), Errc::not_found, kNoHostData);
}

TEST_F(BootDiskTest, InitializingMakesThisHostTheOwner) {
    ASSERT_TRUE(open(here_).initialize(kUuid, "installed").has_value());
    const storage::HostData data = open(here_).read_owned(kUuid).value();
    EXPECT_EQ(data.zone_uuid, kUuid);
    EXPECT_EQ(data.owner, here_.identity.as_owner());
    EXPECT_EQ(data.state, "installed");
    EXPECT_EQ(data.epoch, 1U);
    EXPECT_FALSE(data.last_update.empty());
    EXPECT_FALSE(data.suspend);
}

TEST_F(BootDiskTest, AWrongKeyIsAnsweredInTwoLines) {
    ASSERT_TRUE(open(here_).initialize(kUuid, "installed").has_value());
    ASSERT_TRUE(there_.registry.save_config(config_with(suri_.render(), std::string(32, 'b'))).has_value());
    const std::string message =
        "Encryption key is incorrect.  See linux-kz(7) for configuration migration\n"
        "procedure or update /etc/zones/keys/ant1.";
    expect_error(open(there_).read(), Errc::permission, message);
    expect_error(open(there_).read_owned(kUuid), Errc::permission, message);
    expect_error(open(there_).take({.by_force = true}), Errc::permission, message);
    expect_error(open(there_).release(), Errc::permission, message);
    EXPECT_EQ(on_disk().owner, here_.identity.as_owner());
}

TEST_F(BootDiskTest, TheDiskOfAnotherZoneIsNotOurs) {
    ASSERT_TRUE(open(here_).initialize(kUuid, "installed").has_value());
    expect_error(
        open(here_).read_owned(kOtherUuid), Errc::unavailable,
        fmt::format("the boot disk belongs to another zone (uuid {}, this zone is {})", kUuid, kOtherUuid));
}

TEST_F(BootDiskTest, AnotherHostIsRefusedEverything) {
    ASSERT_TRUE(open(here_).initialize(kUuid, "installed").has_value());
    const storage::HostData before = on_disk();
    expect_error(open(there_).read_owned(kUuid), Errc::unavailable, in_use_by(here_));
    expect_error(open(there_).take(), Errc::unavailable, in_use_by(here_));
    expect_error(open(there_).release(), Errc::unavailable, in_use_by(here_));
    expect_error(open(there_).hand_to(there_.identity.as_owner(), "running"), Errc::unavailable,
                 "this host does not own the zone's disk any more");
    EXPECT_EQ(on_disk(), before);
}

TEST_F(BootDiskTest, ReleasedHereTakenThere) {
    ASSERT_TRUE(open(here_).initialize(kUuid, "installed").has_value());
    ASSERT_TRUE(open(here_).release().has_value());
    EXPECT_FALSE(on_disk().owner);
    EXPECT_EQ(on_disk().epoch, 2U);
    expect_error(open(here_).read_owned(kUuid), Errc::unavailable,
                 "no host owns the zone's disk; attach it with\n   zoneadm -z ant1 attach");
    expect_error(open(here_).hand_to(there_.identity.as_owner(), "running"), Errc::unavailable,
                 "this host does not own the zone's disk any more");
    EXPECT_TRUE(open(here_).release().has_value()) << "what nobody owns is released already";
    EXPECT_EQ(on_disk().epoch, 2U);

    const storage::HostData taken = open(there_).take().value();
    EXPECT_EQ(taken.epoch, 3U);
    EXPECT_EQ(taken.owner, there_.identity.as_owner());
    EXPECT_EQ(open(there_).read_owned(kUuid)->epoch, 3U);
    expect_error(open(here_).read_owned(kUuid), Errc::unavailable, in_use_by(there_));
}

TEST_F(BootDiskTest, TakingOverByForceKeepsTheSuspendImage) {
    BootDisk disk = open(here_);
    ASSERT_TRUE(disk.initialize(kUuid, "installed").has_value());
    storage::HostData data = disk.read().value();
    data.suspend = storage::SuspendRecord{"3f0e", "/export/ant1/suspend", "2026-11-22T02:29:00.000Z"};
    data.handover = storage::Handover{"77aa", there_.identity.as_owner(), "announced"};
    ASSERT_TRUE(disk.write(data).has_value());
    const storage::HostData taken = open(there_).take({.by_force = true}).value();
    EXPECT_EQ(taken.epoch, 2U);
    EXPECT_EQ(taken.owner, there_.identity.as_owner());
    EXPECT_EQ(taken.suspend, data.suspend);
    EXPECT_FALSE(taken.handover) << "whoever announced it has lost the disk";
}

TEST_F(BootDiskTest, TakingOnesOwnDiskAgainIsAllowed) {
    ASSERT_TRUE(open(here_).initialize(kUuid, "installed").has_value());
    EXPECT_EQ(open(here_).take().value().epoch, 2U);
}

TEST_F(BootDiskTest, HandingOverIsOneWriteAfterWhichTheOtherOwnsIt) {
    ASSERT_TRUE(open(here_).initialize(kUuid, "installed").has_value());
    ASSERT_TRUE(open(here_).hand_to(there_.identity.as_owner(), "running").has_value());
    const storage::HostData data = open(there_).read_owned(kUuid).value();
    EXPECT_EQ(data.epoch, 2U);
    EXPECT_EQ(data.state, "running");
    expect_error(open(here_).read_owned(kUuid), Errc::unavailable, in_use_by(there_));
    expect_error(open(here_).hand_to(here_.identity.as_owner(), "running"), Errc::unavailable,
                 "this host does not own the zone's disk any more");
}

TEST_F(BootDiskTest, WhoHasOverlookedAChangeDoesNotOverwriteIt) {
    BootDisk ours = open(here_);
    ASSERT_TRUE(ours.initialize(kUuid, "installed").has_value());
    storage::HostData seen = ours.read().value();
    ASSERT_TRUE(open(there_).take({.by_force = true}).has_value());
    seen.state = "running";
    const Result<void> written = ours.write(seen);
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().code(), Errc::busy);
    EXPECT_EQ(on_disk().owner, there_.identity.as_owner());
}

}  // namespace
}  // namespace kz::store
