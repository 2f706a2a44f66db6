// What moves to this host leave behind when they are broken off, and what the destination finds out of
// itself.
#include "client/incoming_move.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/temp_folder.h"
#include "client/destination_checks.h"
#include "os/file.h"
#include "storage/suri.h"
#include "store/boot_disk.h"
#include "store/host.h"
#include "zone/export.h"
#include "zonecfg/parse_export.h"

namespace kz::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kUuid = "69ed2e6a-e25a-4d36-a022-ed7261ed8899";
constexpr std::uint64_t kDiskBytes = 8 << 20;

// A process that has ended.
ProcessIdentity ended_process() {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    const ProcessIdentity identity = identify_process(pid).value_or(ProcessIdentity{pid, 1});
    ::waitpid(pid, nullptr, 0);
    return identity;
}

class IncomingMoveTest : public testing::Test {
  protected:
    void SetUp() override {
        storage::create_volume(storage::Suri::parse(disk_).value(), kDiskBytes, {}).value();
        client_.emplace(Client::open(paths_).value());
    }
    zone::Config config() const {
        const std::string text = fmt::format(
            "create -b\nset brand=linux-kz\nadd device\nset storage={}\nset id=0\nset bootpri=0\nend\n"
            "add capped-memory\nset physical=64M\nend\nadd keysource\nset raw={}\nend\n",
            disk_, key_);
        return zonecfg::parse_export(text, "ant1").value();
    }
    store::Registry& registry() { return client_->registry(); }

    // Host data that name another host as owner.
    void give_disk_to(const storage::Owner& owner) {
        ASSERT_TRUE(registry().save_config(config()));
        auto disk = store::BootDisk::open(registry(), config()).value();
        ASSERT_TRUE(disk.initialize(std::string(kUuid), "running"));
        if (!store::host_identity(paths_)->owns(owner)) {
            ASSERT_TRUE(disk.read());
            ASSERT_TRUE(disk.hand_to(owner, "running"));
        }
        ASSERT_TRUE(registry().remove("ant1"));
    }
    // As configure() does, by a process that is gone or not.
    void import(const ProcessIdentity& by, zone::State state = zone::State::configured) {
        ASSERT_TRUE(registry().save_config(config()));
        store::ZoneRecord record;
        record.state = state;
        record.import = store::ImportMark{"77aa", by};
        ASSERT_TRUE(registry().put_record("ant1", record));
    }
    migrate::Offer offer(migrate::MoveKind kind = migrate::MoveKind::cold) {
        migrate::Offer made;
        made.kind = kind;
        made.migration_id = "77aa";
        made.zone_uuid = kUuid;
        made.configuration = zone::export_text(config(), /*with_secrets=*/true);
        made.source = other_;
        made.cpus = 1;
        made.facts.epoch = 2;
        return made;
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    std::string disk_ = "file://" + (folder_.path() / "disk0").string();
    std::string key_ = std::string(32, 'a');
    storage::Owner other_{"other-host", "node1"};
    std::optional<Client> client_;
};

TEST_F(IncomingMoveTest, AnImportThatNobodyGoesOnWithIsRemoved) {
    give_disk_to(other_);
    import(ended_process());
    EXPECT_THAT(remove_stale_imports(registry()), ElementsAre("ant1"));
    EXPECT_FALSE(registry().exists("ant1"));
    EXPECT_FALSE(registry().keysource("ant1")) << "its key goes too";
    EXPECT_THAT(remove_stale_imports(registry()), IsEmpty());
}

TEST_F(IncomingMoveTest, ARecordWithoutConfigurationIsOneToo) {
    store::ZoneRecord record;
    record.import = store::ImportMark{"77aa", ended_process()};
    ASSERT_TRUE(registry().put_record("ant1", record));
    EXPECT_THAT(remove_stale_imports(registry()), ElementsAre("ant1"));
}

TEST_F(IncomingMoveTest, AnImportThatIsGoingOnStays) {
    give_disk_to(other_);
    import(identify_process(::getpid()).value());
    EXPECT_THAT(remove_stale_imports(registry()), IsEmpty());
    EXPECT_TRUE(registry().exists("ant1"));
}

TEST_F(IncomingMoveTest, AZoneThatThisHostOwnsStays) {
    give_disk_to(store::host_identity(paths_)->as_owner());
    import(ended_process());
    EXPECT_THAT(remove_stale_imports(registry()), IsEmpty());
}

TEST_F(IncomingMoveTest, AZoneOfWhichNothingIsKnownStays) {
    import(ended_process());  // there are no host data
    EXPECT_THAT(remove_stale_imports(registry()), IsEmpty());
    EXPECT_TRUE(registry().exists("ant1"));
}

TEST_F(IncomingMoveTest, AZoneThatWasConfiguredByHandStays) {
    give_disk_to(other_);
    ASSERT_TRUE(registry().save_config(config()));
    EXPECT_THAT(remove_stale_imports(registry()), IsEmpty());
}

TEST_F(IncomingMoveTest, TheMarkEndsWhenTheZoneIsThisHosts) {
    import(ended_process(), zone::State::installed);
    store::ZoneRecord record = registry().record("ant1").value();
    EXPECT_FALSE(record.import);
    record.state = zone::State::configured;
    ASSERT_TRUE(registry().put_record("ant1", record));
    EXPECT_FALSE(registry().record("ant1")->import) << "nor does it come back when it moves on";
}

TEST_F(IncomingMoveTest, AnOfferIsCheckedAndTheConfigurationImportedWithAMark) {
    give_disk_to(other_);
    auto move = IncomingMove::begin(*client_, "ant1", offer()).value();
    const migrate::Acceptance acceptance = move->acceptance().value();
    EXPECT_THAT(acceptance.findings.errors, IsEmpty());
    EXPECT_FALSE(acceptance.has_configuration);
    EXPECT_GT(acceptance.received_ms, 0U);
    EXPECT_LE(acceptance.received_ms, acceptance.answered_ms);
    EXPECT_THAT(acceptance.qemu_version, HasSubstr("."));
    ASSERT_TRUE(move->configure());
    const auto record = registry().record("ant1").value();
    ASSERT_TRUE(record.import);
    EXPECT_EQ(record.import->migration_id, "77aa");
    EXPECT_EQ(record.import->receiver, identify_process(::getpid()).value());
    ASSERT_TRUE(move->attach());
    move.reset();
    EXPECT_FALSE(registry().exists("ant1")) << "the source has gone";
}

TEST_F(IncomingMoveTest, WhatAnEarlierMoveLeftDoesNotCountAsConfiguration) {
    give_disk_to(other_);
    import(ended_process());
    const auto move = IncomingMove::begin(*client_, "ant1", offer()).value();
    EXPECT_FALSE(move->acceptance()->has_configuration);
}

TEST_F(IncomingMoveTest, AfterErrorsThereIsNoNextStep) {
    give_disk_to({"third-host", "node3"});
    const auto move = IncomingMove::begin(*client_, "ant1", offer()).value();
    EXPECT_THAT(move->acceptance()->findings.errors, ElementsAre(HasSubstr("but host 'node3'")));
    const auto configured = move->configure();
    ASSERT_FALSE(configured);
    EXPECT_EQ(configured.error().code(), Errc::wrong_state);
    EXPECT_FALSE(registry().exists("ant1"));
}

TEST_F(IncomingMoveTest, WithoutAGatewayThereIsNoLink) {
    give_disk_to(other_);
    const auto move = IncomingMove::begin(*client_, "ant1", offer()).value();
    const auto link = move->link();
    ASSERT_FALSE(link);
    EXPECT_THAT(link.error().message(), HasSubstr("kz-migrd"));
}

// The facts

TEST_F(IncomingMoveTest, TheDiskIsLookedAt) {
    give_disk_to(other_);
    const migrate::HostFacts facts = gather_host_facts(registry(), "ant1", offer(), config());
    ASSERT_EQ(facts.disks.size(), 1U);
    EXPECT_EQ(facts.disks[0].problem, "");
    EXPECT_EQ(facts.disks[0].bytes, kDiskBytes);
    EXPECT_EQ(facts.disks[0].samples.size(), migrate::kMaxSamples);
    ASSERT_TRUE(facts.host_data);
    EXPECT_EQ(facts.host_data->owner, other_);
    EXPECT_FALSE(facts.state);
    EXPECT_GT(facts.memory_total, 0U);
    EXPECT_GE(facts.cpus, 1U);
    EXPECT_THAT(facts.machines, testing::Contains(HasSubstr("pc-q35-")));
    EXPECT_FALSE(facts.cpu.fullest.empty());
}

TEST_F(IncomingMoveTest, AnotherKeyIsFoundOut) {
    give_disk_to(other_);
    key_ = std::string(32, 'b');
    const migrate::HostFacts facts = gather_host_facts(registry(), "ant1", offer(), config());
    EXPECT_FALSE(facts.host_data);
    EXPECT_THAT(facts.host_data_problem, HasSubstr("Encryption key is incorrect"));
}

TEST_F(IncomingMoveTest, ADiskThatIsNotThereIsSaid) {
    disk_ += ".gone";
    const migrate::HostFacts facts = gather_host_facts(registry(), "ant1", offer(), config());
    ASSERT_EQ(facts.disks.size(), 1U);
    EXPECT_THAT(facts.disks[0].problem, HasSubstr("disk0.gone"));
}

TEST_F(IncomingMoveTest, AnImageThatIsNotThereIsSaid) {
    give_disk_to(other_);
    ASSERT_TRUE(registry().save_config(config()));
    auto disk = store::BootDisk::open(registry(), config()).value();
    storage::HostData data = disk.read().value();
    data.suspend = storage::SuspendRecord{"ca11", (folder_.path() / "ant1.susp").string(), "now"};
    ASSERT_TRUE(disk.write(data));
    const migrate::HostFacts facts =
        gather_host_facts(registry(), "ant1", offer(migrate::MoveKind::warm), config());
    EXPECT_THAT(facts.image_problem, HasSubstr("ant1.susp"));
    EXPECT_FALSE(facts.image);
}

TEST_F(IncomingMoveTest, AZoneOfThatNameWithAnotherKeyIsSeen) {
    give_disk_to(other_);
    ASSERT_TRUE(registry().save_config(config()));
    const migrate::Offer offered = offer();
    zone::Config theirs = config();
    ASSERT_TRUE(theirs.set_keysource_raw(std::string(32, 'c')));
    const migrate::HostFacts facts = gather_host_facts(registry(), "ant1", offered, theirs);
    EXPECT_EQ(facts.state, zone::State::configured);
    EXPECT_TRUE(facts.existing);
    EXPECT_TRUE(facts.other_key);
}

}  // namespace
}  // namespace kz::client
