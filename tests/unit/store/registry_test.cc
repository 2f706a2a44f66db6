#include "store/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>
#include <random>
#include <thread>

#include "../support/temp_folder.h"
#include "store/rename.h"
#include "store/status.h"

namespace kz::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RegistryTest : public testing::Test {
  protected:
    void save(const std::string& name, const std::string& key = "00112233445566778899aabbccddeeff") {
        zone::Config config(name);
        ASSERT_TRUE(config.set_global("bootargs", "quiet"));
        if (!key.empty()) {
            ASSERT_TRUE(config.set_keysource_raw(key));
        }
        const Result<void> saved = registry_.save_config(config);
        ASSERT_TRUE(saved) << saved.error().message();
    }
    static std::string content(const Path& path) { return *read_file(path, 1 << 20); }
    static mode_t mode(const Path& path) {
        struct stat status{};
        EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
        return status.st_mode & 0777;
    }
    static void write(const Path& path, const std::string& text) {
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    Registry registry_ = *Registry::open(paths_);
};

TEST_F(RegistryTest, EmptyHostHasNoZones) {
    EXPECT_THAT(*registry_.names(), ElementsAre());
    EXPECT_FALSE(registry_.exists("ant1"));
    EXPECT_EQ(registry_.load_config("ant1").error().message(), "No such zone configured");
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path())) << "looking made a folder";
}

TEST_F(RegistryTest, SavedConfigurationIsLoadedWithItsKey) {
    save("ant1");
    const zone::Config config = *registry_.load_config("ant1");
    EXPECT_EQ(config.name(), "ant1");
    EXPECT_EQ(config.bootargs(), "quiet");
    EXPECT_EQ(config.keysource_raw(), "00112233445566778899aabbccddeeff");
    EXPECT_EQ(to_hex(registry_.keysource("ant1")->view()), "00112233445566778899aabbccddeeff");
}

TEST_F(RegistryTest, SecretIsInItsOwnFile) {
    save("ant1");
    EXPECT_THAT(content(paths_.config_file("ant1")), testing::Not(HasSubstr("00112233")));
    EXPECT_THAT(content(paths_.config_file("ant1")), testing::StartsWith("create -b\n"));
    EXPECT_EQ(content(paths_.key_file("ant1")), "00112233445566778899aabbccddeeff\n");
    EXPECT_EQ(mode(paths_.key_file("ant1")), 0600U);
    EXPECT_EQ(mode(paths_.keys_dir()), 0700U);
    EXPECT_EQ(mode(paths_.config_file("ant1")), 0644U);
}

TEST_F(RegistryTest, KeyIsRemovedOnlyWhileNothingIsUnderIt) {
    save("ant1");
    ZoneRecord record;
    record.state = zone::State::installed;
    ASSERT_TRUE(registry_.put_record("ant1", record));
    EXPECT_EQ(registry_.save_config(zone::Config("ant1")).error().code(), Errc::wrong_state);
    EXPECT_TRUE(registry_.keysource("ant1"));
    record.state = zone::State::configured;
    ASSERT_TRUE(registry_.put_record("ant1", record));
    EXPECT_TRUE(registry_.save_config(zone::Config("ant1")));
    EXPECT_EQ(registry_.keysource("ant1").error().code(), Errc::not_found);
}

TEST_F(RegistryTest, EnsureKeysourceMakesOneOnce) {
    save("ant1", "");
    const std::string key = to_hex(registry_.ensure_keysource("ant1")->view());
    EXPECT_EQ(key.size(), 32U);
    EXPECT_EQ(to_hex(registry_.ensure_keysource("ant1")->view()), key);
    EXPECT_EQ(registry_.load_config("ant1")->keysource_raw(), key);
    save("ant2", "");
    EXPECT_NE(to_hex(registry_.ensure_keysource("ant2")->view()), key);
    write(paths_.key_file("ant1"), "not hexadecimal");
    EXPECT_EQ(registry_.ensure_keysource("ant1").error().code(), Errc::corrupt);
    EXPECT_FALSE(registry_.load_config("ant1"));
}

TEST_F(RegistryTest, NamesAreSortedAndOnlyZones) {
    for (const char* name : {"b", "a", "c.d"})
        save(name);
    write(paths_.etc_zones() / "SYSlinux-kz.cfg", "create -b\n");
    write(paths_.etc_zones() / "a.cfg.Xy12Zz", "a crash left me\n");
    write(paths_.etc_zones() / ".hidden.cfg", "create -b\n");
    write(paths_.etc_zones() / "host-id", "x\n");
    write(paths_.zones_dir() / "z/disk0", "only a disk");
    EXPECT_THAT(*registry_.names(), ElementsAre("a", "b", "c.d"));
    ASSERT_TRUE(registry_.put_record("lost", ZoneRecord{}));
    EXPECT_THAT(*registry_.names(), ElementsAre("a", "b", "c.d", "lost"));
    EXPECT_TRUE(registry_.exists("lost"));
    EXPECT_FALSE(registry_.has_config("lost"));
}

TEST_F(RegistryTest, NamesNeverLeadOutOfTheFolders) {
    for (const char* name : {"../x", "", ".", "a/b", ".locks", "global", "SYSx"}) {
        EXPECT_FALSE(registry_.exists(name)) << name;
        EXPECT_FALSE(registry_.load_config(name)) << name;
        EXPECT_FALSE(registry_.save_config(zone::Config(name))) << name;
        EXPECT_FALSE(registry_.remove(name)) << name;
        EXPECT_FALSE(registry_.record(name)) << name;
        EXPECT_FALSE(registry_.put_record(name, {})) << name;
        EXPECT_FALSE(registry_.lock(name, Deadline::never())) << name;
        EXPECT_FALSE(registry_.keysource(name)) << name;
        EXPECT_FALSE(registry_.rename("a", name)) << name;
    }
}

TEST_F(RegistryTest, DamagedConfigurationNamesTheFileAndTheLine) {
    write(paths_.config_file("ant1"), "create -b\nset nonsense=1\n");
    const std::string message = registry_.load_config("ant1").error().message();
    EXPECT_THAT(message, HasSubstr("etc/zones/ant1.cfg: line 2"));
}

TEST_F(RegistryTest, TemplatesAreReadFromTheHostFirst) {
    write(paths_.etc_zones() / "SYSmine.cfg", "create -b\nset bootargs=mine\n");
    EXPECT_EQ(registry_.load_template("SYSmine")->bootargs(), "mine");
    EXPECT_EQ(registry_.load_template("SYSnone").error().code(), Errc::not_found);
    EXPECT_EQ(registry_.load_template("../x").error().code(), Errc::not_found);
}

TEST_F(RegistryTest, RecordIsKeptWithWhatItDoesNotKnow) {
    EXPECT_EQ(*registry_.record("ant1"), ZoneRecord{});
    ZoneRecord record;
    record.uuid = "69ed2e6a-e25a-4d36-a022-ed7261ed8899";
    record.state = zone::State::unavailable;
    record.aux = {zone::Aux::suspended};
    record.reason = "in use by host global2";
    record.other["image"] = {{"id", 7}};
    ASSERT_TRUE(registry_.put_record("ant1", record));
    EXPECT_EQ(*registry_.record("ant1"), record);
    EXPECT_EQ(content(paths_.zone_dir("ant1") / "state.json"), content(Path(KZ_TEST_DATA) / "state.json"));
    record.state = zone::State::running;
    EXPECT_EQ(registry_.put_record("ant1", record).error().code(), Errc::internal);
}

TEST_F(RegistryTest, DamagedRecordsAreErrors) {
    const auto code = [&](const std::string& text) {
        write(paths_.zone_dir("ant1") / "state.json", text);
        const Result<ZoneRecord> record = registry_.record("ant1");
        return record ? Errc{} : record.error().code();
    };
    const std::string good = R"({"format":1,"uuid":"","state":"installed","aux":"","reason":""})";
    EXPECT_EQ(code(good), Errc{});
    EXPECT_EQ(code(""), Errc::corrupt);
    EXPECT_EQ(code("[]"), Errc::corrupt);
    EXPECT_EQ(code(R"({"format":2,"uuid":"","state":"installed","aux":"","reason":""})"), Errc::unsupported);
    EXPECT_EQ(code(R"({"format":1,"uuid":"","state":"running","aux":"","reason":""})"), Errc::corrupt);
    EXPECT_EQ(code(R"({"format":1,"uuid":"","state":"happy","aux":"","reason":""})"), Errc::corrupt);
    EXPECT_EQ(code(R"({"format":1,"uuid":"","state":"installed","aux":"sad","reason":""})"), Errc::corrupt);
    EXPECT_EQ(code(std::string(100'000, '[')), Errc::corrupt);
}

TEST_F(RegistryTest, RemoveTakesEverythingButDisks) {
    save("ant1");
    ASSERT_TRUE(registry_.put_record("ant1", ZoneRecord{}));
    write(paths_.zone_dir("ant1") / "disk0", "precious");
    ASSERT_TRUE(registry_.remove("ant1"));
    EXPECT_FALSE(registry_.exists("ant1"));
    EXPECT_FALSE(std::filesystem::exists(paths_.key_file("ant1")));
    EXPECT_EQ(content(paths_.zone_dir("ant1") / "disk0"), "precious");
    EXPECT_TRUE(registry_.remove("ant1"));
}

TEST_F(RegistryTest, RenameMovesConfigurationKeyAndRecord) {
    save("old");
    ZoneRecord record;
    record.uuid = "u";
    ASSERT_TRUE(registry_.put_record("old", record));
    ASSERT_TRUE(registry_.rename("old", "new"));
    EXPECT_THAT(*registry_.names(), ElementsAre("new"));
    EXPECT_EQ(registry_.load_config("new")->name(), "new");
    EXPECT_TRUE(registry_.keysource("new"));
    EXPECT_EQ(registry_.record("new")->uuid, "u");
    EXPECT_FALSE(std::filesystem::exists(paths_.zone_dir("old")));
    save("other");
    EXPECT_EQ(registry_.rename("new", "other").error().code(), Errc::already_exists);
    EXPECT_EQ(registry_.rename("none", "x").error().code(), Errc::not_found);
}

TEST_F(RegistryTest, RenameThatACrashBrokeOffIsCompleted) {
    // Whatever of the three files had been moved.
    for (int done = 0; done < 4; ++done) {
        save("old");
        ZoneRecord record;
        record.uuid = "u";
        ASSERT_TRUE(registry_.put_record("old", record));
        ASSERT_TRUE(begin_rename(paths_, "old", "new"));
        if (done > 0) {
            ASSERT_TRUE(registry_.put_record("new", record));
            ASSERT_TRUE(remove_file(paths_.zone_dir("old") / "state.json"));
        }
        if (done > 1) std::filesystem::rename(paths_.key_file("old"), paths_.key_file("new"));
        if (done > 2) std::filesystem::rename(paths_.config_file("old"), paths_.config_file("new"));
        const Registry after = *Registry::open(paths_);
        EXPECT_THAT(*after.names(), ElementsAre("new"));
        EXPECT_EQ(after.record("new")->uuid, "u");
        EXPECT_TRUE(after.keysource("new"));
        EXPECT_FALSE(std::filesystem::exists(paths_.etc_zones() / ".rename"));
        ASSERT_TRUE(after.remove("new"));
    }
}

TEST_F(RegistryTest, DamagedRenameIntentIsAnError) {
    write(paths_.etc_zones() / ".rename", "../../x y\n");
    EXPECT_EQ(Registry::open(paths_).error().code(), Errc::corrupt);
}

TEST_F(RegistryTest, LockIsExclusiveAndDiesWithItsHolder) {
    Result<ZoneLock> lock = registry_.lock("ant1", Deadline::never());
    ASSERT_TRUE(lock);
    EXPECT_TRUE(registry_.locked("ant1"));
    EXPECT_FALSE(registry_.locked("ant2"));
    EXPECT_EQ(registry_.lock("ant1", Deadline::after(std::chrono::milliseconds(30))).error().code(),
              Errc::busy);
    EXPECT_TRUE(registry_.lock("ant2", Deadline::never()));
    {
        const ZoneLock dropped = *std::move(lock);
    }
    EXPECT_FALSE(registry_.locked("ant1"));
    const pid_t child = ::fork();
    if (child == 0) {
        const Result<ZoneLock> theirs = registry_.lock("ant1", Deadline::never());
        ::raise(SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(registry_.lock("ant1", Deadline::after(std::chrono::seconds(5))));
}

TEST_F(RegistryTest, KilledSaverLeavesAWholeZone) {
    save("ant1");
    std::minstd_rand random(std::random_device{}());
    std::uniform_int_distribution<int> microseconds(0, 3000);
    for (int round = 0; round < 100; ++round) {
        const pid_t writer = ::fork();
        if (writer == 0) {
            zone::Config config("ant1");
            for (unsigned i = 0;; ++i) {
                const std::string key = fmt::format("{:032x}", i);
                if (!config.set_global("bootargs", key) || !config.set_keysource_raw(key)) ::_exit(3);
                if (!registry_.save_config(config)) ::_exit(3);
            }
        }
        std::this_thread::sleep_for(std::chrono::microseconds(microseconds(random)));
        ASSERT_EQ(::kill(writer, SIGKILL), 0);
        int status = 0;
        ASSERT_EQ(::waitpid(writer, &status, 0), writer);
        ASSERT_TRUE(WIFSIGNALED(status));
        const Result<zone::Config> config = registry_.load_config("ant1");
        ASSERT_TRUE(config) << config.error().message();
        ASSERT_EQ(config->keysource_raw()->size(), 32U);
        ASSERT_EQ(mode(paths_.key_file("ant1")), 0600U);
        ASSERT_THAT(*registry_.names(), ElementsAre("ant1"));
    }
}

}  // namespace
}  // namespace kz::store
