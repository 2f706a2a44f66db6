#include "client/storage.h"

#include <gtest/gtest.h>

#include <fstream>

#include "../support/temp_folder.h"
#include "storage/volume.h"
#include "store/boot_disk.h"
#include "zonecfg/parse_export.h"

namespace kz::client {
namespace {

constexpr std::uint64_t kDiskBytes = 4 << 20;
constexpr const char* kUuid = "69ed2e6a-e25a-4d36-a022-ed7261ed8899";

InstallOptions by_force() {
    InstallOptions options;
    options.force_overwrite = true;
    return options;
}

class StorageTest : public testing::Test {
  protected:
    struct Host {
        HostPaths paths;
        store::Registry registry = store::Registry::open(paths).value();
    };

    Path disk(const std::string& name) const { return folder_.path() / "disks" / name; }
    // A zone whose disks have these SURIs; all zones have the same key.
    zone::Config config(const std::string& name, const std::vector<std::string>& storages) const {
        std::string text = "create -b\nset brand=linux-kz\n";
        for (std::size_t id = 0; id < storages.size(); ++id)
            text += fmt::format("add device\nset storage={}\nset id={}\nend\n", storages[id], id);
        text += "add keysource\nset raw=" + std::string(32, 'a') + "\nend\n";
        return zonecfg::parse_export(text, name).value();
    }
    std::string file_suri(const std::string& name) const {
        return storage::Suri::of_file(disk(name)).value().render();
    }
    // A zone on one disk, which exists.
    zone::Config zone_on(const Host& host, const std::string& name, const std::string& disk_name) const {
        const zone::Config made = config(name, {file_suri(disk_name)});
        EXPECT_TRUE(host.registry.save_config(made).has_value());
        EXPECT_TRUE(create_missing_volumes(made, kDiskBytes, {}).has_value());
        return made;
    }
    static void initialize(const Host& host, const zone::Config& zone, const std::string& uuid = kUuid) {
        auto opened = store::BootDisk::open(host.registry, zone);
        ASSERT_TRUE(opened.has_value());
        ASSERT_TRUE(opened->initialize(uuid, "installed").has_value());
    }
    static void record(const Host& host, const std::string& name, zone::State state,
                       const std::string& uuid) {
        store::ZoneRecord made;
        made.state = state;
        made.uuid = uuid;
        ASSERT_TRUE(host.registry.put_record(name, made).has_value());
    }
    void poke(const std::string& name, std::uint64_t offset) const {
        std::fstream file(disk(name), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(offset));
        file.put('x');
        ASSERT_TRUE(file.flush());
    }

    test::TempFolder folder_;
    Host here_{HostPaths(folder_.path() / "here")};
    Host there_{HostPaths(folder_.path() / "there")};
};

TEST_F(StorageTest, VolumesThatAreMissingAreMade) {
    const zone::Config zone = config("z1", {file_suri("a"), file_suri("b")});
    std::filesystem::create_directories(disk(""));
    std::ofstream(disk("a")) << "mine";
    const auto created = create_missing_volumes(zone, kDiskBytes, {}).value();
    ASSERT_EQ(created.size(), 1U);
    EXPECT_EQ(created[0].local_path(), disk("b"));
    EXPECT_EQ(std::filesystem::file_size(disk("b")), kDiskBytes);
    EXPECT_EQ(std::filesystem::file_size(disk("a")), 4U) << "what exists is left alone";
    EXPECT_TRUE(create_missing_volumes(zone, kDiskBytes, {})->empty());
    destroy_volumes(created, {});
    EXPECT_FALSE(std::filesystem::exists(disk("b")));
    EXPECT_TRUE(std::filesystem::exists(disk("a")));
}

TEST_F(StorageTest, WhenOneCannotBeMadeNoneIsLeft) {
    const zone::Config zone =
        config("z1", {file_suri("a"), file_suri("b"), "dev:/dev/kzones-no-such-disk", file_suri("d")});
    const auto created = create_missing_volumes(zone, kDiskBytes, {});
    ASSERT_FALSE(created.has_value());
    EXPECT_EQ(created.error().code(), Errc::unsupported);
    EXPECT_TRUE(created.error().message().starts_with("device 2: ")) << created.error().message();
    for (const char* name : {"a", "b", "d"})
        EXPECT_FALSE(std::filesystem::exists(disk(name))) << name;
}

TEST_F(StorageTest, ABlankDiskMayBeInstalledOn) {
    const zone::Config zone = zone_on(here_, "z1", "a");
    EXPECT_TRUE(check_overwrite(here_.registry, zone, {}).has_value());
}

TEST_F(StorageTest, ADiskThatHoldsSomethingIsOverwrittenByForceOnly) {
    for (const std::uint64_t offset :
         {std::uint64_t{0}, (std::uint64_t{1} << 20) - 1, kDiskBytes - (1 << 20), kDiskBytes - 1}) {
        const std::string name = fmt::format("disk{}", offset);
        const zone::Config zone = zone_on(here_, "z1", name);
        poke(name, offset);
        const auto refused = check_overwrite(here_.registry, zone, {});
        ASSERT_FALSE(refused.has_value()) << offset;
        EXPECT_EQ(refused.error().code(), Errc::already_exists);
        EXPECT_EQ(refused.error().message(),
                  fmt::format("device 0: {} is not empty: it holds data of no known format; to overwrite it, "
                              "install with -x force-storage-overwrite=0",
                              file_suri(name)));
        EXPECT_TRUE(check_overwrite(here_.registry, zone, by_force()).has_value());
    }
}

TEST_F(StorageTest, EveryDiskIsLookedAt) {
    const zone::Config zone = config("z1", {file_suri("a"), file_suri("b")});
    ASSERT_TRUE(here_.registry.save_config(zone).has_value());
    ASSERT_TRUE(create_missing_volumes(zone, kDiskBytes, {}).has_value());
    EXPECT_TRUE(check_overwrite(here_.registry, zone, {}).has_value());
    poke("b", 100);
    EXPECT_EQ(
        check_overwrite(here_.registry, zone, {}).error().message(),
        fmt::format("device 1: {} is not empty: it holds data of no known format; to give it to the new "
                    "zone as it is, install with -x force-storage-overwrite=1",
                    file_suri("b")));
    InstallOptions options;
    options.force_overwrite_ids = {0};
    EXPECT_EQ(check_overwrite(here_.registry, zone, options).error().code(), Errc::already_exists);
    options.force_overwrite_ids = {1};
    EXPECT_TRUE(check_overwrite(here_.registry, zone, options).has_value());
    options.force_overwrite_ids = {1, 7};
    EXPECT_EQ(check_overwrite(here_.registry, zone, options).error().message(),
              "force-storage-overwrite: the zone has no device 7");
    // Another zone's boot disk is nobody's data disk.
    initialize(there_, zone_on(there_, "z2", "b"));
    EXPECT_EQ(check_overwrite(here_.registry, zone, by_force()).error().code(), Errc::unavailable);
}

TEST_F(StorageTest, ADiskOfThisZoneFromBeforeIsOverwrittenByForceOnly) {
    const zone::Config zone = zone_on(here_, "z1", "a");
    record(here_, "z1", zone::State::configured, kUuid);
    initialize(here_, zone);
    EXPECT_FALSE(check_overwrite(here_.registry, zone, {}).has_value());
    EXPECT_TRUE(check_overwrite(here_.registry, zone, by_force()).has_value());
}

TEST_F(StorageTest, ADiskOfAnotherHostIsNeverOverwritten) {
    initialize(there_, zone_on(there_, "z1", "a"));
    const zone::Config zone = zone_on(here_, "z1", "a");
    for (const bool force : {false, true}) {
        const auto refused = check_overwrite(here_.registry, zone, force ? by_force() : InstallOptions{});
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code(), Errc::unavailable);
        EXPECT_TRUE(refused.error().message().starts_with("ERROR: zone z1 is in use by host with hostid "))
            << refused.error().message();
    }
}

// It has another key, perhaps: what is on the disk cannot be verified, but it is a reason to stop.
TEST_F(StorageTest, ADiskUnderAnotherKeyIsLookedAtAllTheSame) {
    initialize(there_, zone_on(there_, "z1", "a"));
    zone::Config zone = zone_on(here_, "z1", "a");
    ASSERT_TRUE(zone.set_keysource_raw(std::string(32, 'b')).has_value());
    ASSERT_TRUE(here_.registry.save_config(zone).has_value());
    EXPECT_EQ(check_overwrite(here_.registry, zone, by_force()).error().code(), Errc::unavailable);
}

TEST_F(StorageTest, ADiskOfAnotherZoneOfThisHostIsNeverOverwritten) {
    initialize(here_, zone_on(here_, "first", "a"));
    record(here_, "first", zone::State::installed, kUuid);
    const zone::Config second = zone_on(here_, "second", "a");
    for (const bool force : {false, true}) {
        const auto refused = check_overwrite(here_.registry, second, force ? by_force() : InstallOptions{});
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code(), Errc::unavailable);
        EXPECT_EQ(refused.error().message(),
                  "the disk belongs to zone 'first' of this host; detach or uninstall that zone first");
    }
    // Once that zone is gone the disk is only one that is not empty.
    record(here_, "first", zone::State::configured, kUuid);
    EXPECT_EQ(check_overwrite(here_.registry, second, {}).error().code(), Errc::already_exists);
    EXPECT_TRUE(check_overwrite(here_.registry, second, by_force()).has_value());
}

TEST_F(StorageTest, OwnershipIsTheHostsAndTheZones) {
    const zone::Config zone = zone_on(here_, "z1", "a");
    initialize(here_, zone);
    EXPECT_EQ(check_ownership(here_.registry, zone, kUuid)->zone_uuid, kUuid);
    // Whatever the cause: it goes into the record of a zone that is unavailable.
    for (const auto& refused : {check_ownership(here_.registry, zone, "11111111-2222-4333-8444-555555555555"),
                                check_ownership(there_.registry, zone_on(there_, "z1", "a"), kUuid),
                                check_ownership(here_.registry, config("z1", {file_suri("missing")}), kUuid),
                                check_ownership(here_.registry, config("z1", {}), kUuid),
                                check_ownership(here_.registry, zone_on(here_, "z2", "blank"), kUuid)}) {
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code(), Errc::unavailable) << refused.error().message();
        EXPECT_FALSE(refused.error().message().empty());
    }
}

}  // namespace
}  // namespace kz::client
