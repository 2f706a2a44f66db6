// The checks before a move, one by one, with made-up facts.
#include "migrate/checks.h"

#include <gmock/gmock.h>

#include "zone/config.h"
#include "zone/schema.h"

namespace kz::migrate {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kGiB = 1ULL << 30;

// A zone of 2 GiB and 2 CPUs that moves to a host on which nothing is wrong.
class ChecksTest : public testing::Test {
  protected:
    ChecksTest() {
        set_memory(config_, "2G");
        offer_.zone_uuid = "69ed2e6a-e25a-4d36-a022-ed7261ed8899";
        offer_.source = {"id1", "node1"};
        offer_.machine_type = "pc-q35-7.2";
        offer_.accel = "kvm";
        offer_.facts.kzones_version = kzones_version();
        offer_.facts.qemu_version = "7.2.9";
        offer_.facts.cpu = whole_cpu();
        offer_.facts.disks = {{.id = 0, .bytes = 8 * kGiB, .samples = {1, 2, 3}}};
        offer_.facts.bridged = {0};
        offer_.facts.epoch = 4;
        offer_.facts.heartbeat = 100;
        facts_.qemu_version = "7.2.9";
        facts_.machines = {"pc-q35-7.2", "pc-q35-7.1"};
        facts_.accel = "kvm";
        facts_.cpu = whole_cpu();
        facts_.cpus = 4;
        facts_.memory_total = 16 * kGiB;
        facts_.memory_available = 8 * kGiB;
        facts_.anets = {{.id = 0, .problem = {}, .bridged = true}};
        facts_.disks = {{.id = 0, .problem = {}, .bytes = 8 * kGiB, .samples = {1, 2, 3}}};
        facts_.host_data.emplace();
        facts_.host_data->zone_uuid = offer_.zone_uuid;
        facts_.host_data->epoch = 4;
        facts_.host_data->owner = offer_.source;
        facts_.host_data->heartbeat = 101;
    }

    static void set_memory(zone::Config& config, const std::string& size) {
        if (config.find("capped-memory") != nullptr) config.remove("capped-memory", 0);
        zone::Resource memory = zone::Resource(*zone::find_resource("capped-memory"));
        ASSERT_TRUE(memory.set("physical", size));
        config.add(memory);
    }
    static qemu::CpuModels whole_cpu() {
        return {.lacking = {{"qemu64", {}},
                            {"Nehalem", {}},
                            {"Haswell-noTSX", {}},
                            {"Skylake-Server-noTSX-IBRS", {}}},
                .fullest = {"avx", "avx2", "avx512f", "sse2"}};
    }
    void set_cpu(const std::string& cpu_arch) { ASSERT_TRUE(config_.set_global("cpu-arch", cpu_arch)); }
    Findings check() const { return check_move(offer_, config_, config_, facts_); }
    // Exactly one error, and its text.
    std::string error() const {
        const Findings found = check();
        EXPECT_EQ(found.errors.size(), 1U) << testing::PrintToString(found.errors);
        EXPECT_THAT(found.warnings, IsEmpty());
        return found.errors.empty() ? "" : found.errors.front();
    }
    std::string warning() const {
        const Findings found = check();
        EXPECT_EQ(found.warnings.size(), 1U) << testing::PrintToString(found.warnings);
        EXPECT_THAT(found.errors, IsEmpty());
        return found.warnings.empty() ? "" : found.warnings.front();
    }

    zone::Config config_{"ant1"};
    Offer offer_;
    HostFacts facts_;
};

TEST_F(ChecksTest, PostCopyNeedsTheKernelsHelpOnlyWhenItIsAskedFor) {
    facts_.post_copy_problem = "sysctl vm.unprivileged_userfaultfd is 0 there";
    EXPECT_THAT(check().errors, IsEmpty());
    offer_.post_copy = true;
    EXPECT_EQ(error(),
              "destination: post-copy is not possible: sysctl vm.unprivileged_userfaultfd is 0 there");
    facts_.post_copy_problem.clear();
    EXPECT_THAT(check().errors, IsEmpty());
}

TEST_F(ChecksTest, NothingIsWrong) {
    for (const MoveKind kind : {MoveKind::live, MoveKind::warm, MoveKind::cold}) {
        offer_.kind = kind;
        EXPECT_EQ(check(), Findings{});
    }
}

TEST_F(ChecksTest, EverythingThatIsWrongIsSaidAtOnce) {
    facts_.machines.clear();
    facts_.memory_available = 0;
    facts_.anets[0].problem = "anet 0: lower-link 'br7' does not exist on this host";
    facts_.disks[0].problem = "no such file";
    facts_.other_key = true;
    EXPECT_EQ(check().errors.size(), 5U);
    for (const std::string& each : check().errors)
        EXPECT_THAT(each, testing::StartsWith("destination: "));
}

// The zone

TEST_F(ChecksTest, AZoneThatIsMoreThanConfigured) {
    facts_.state = zone::State::installed;
    EXPECT_EQ(error(), "destination: a zone 'ant1' exists there and is installed");
    facts_.state = zone::State::configured;
    EXPECT_EQ(check(), Findings{});
}

TEST_F(ChecksTest, EachDifferenceOfTheConfigurationsIsALine) {
    facts_.state = zone::State::configured;
    facts_.existing = config_;
    EXPECT_EQ(check(), Findings{});
    set_memory(*facts_.existing, "1G");
    ASSERT_TRUE(facts_.existing->set_global("cpu-arch", "host"));
    ASSERT_TRUE(facts_.existing->set_global("autoboot", "true"));
    const Findings found = check();
    ASSERT_EQ(found.errors.size(), 2U) << testing::PrintToString(found.errors);
    EXPECT_THAT(found.errors[0], HasSubstr("differs: capped-memory: physical: 2147483648 and 1073741824"));
    EXPECT_THAT(found.errors[1], HasSubstr("differs: cpu-arch: "));
    ASSERT_EQ(found.warnings.size(), 1U) << testing::PrintToString(found.warnings);
    EXPECT_THAT(found.warnings[0], HasSubstr("differs: autoboot: "));
}

TEST_F(ChecksTest, AnotherKey) {
    facts_.other_key = true;
    EXPECT_THAT(error(), HasSubstr("another encryption key"));
}

TEST_F(ChecksTest, AnotherVersionIsOnlySaid) {
    offer_.facts.kzones_version = "99.0";
    EXPECT_THAT(warning(), HasSubstr("at the source version 99.0"));
}

// The machine

TEST_F(ChecksTest, AMachineTypeThatIsNotThere) {
    offer_.machine_type = "pc-q35-9.0";
    EXPECT_EQ(error(), "destination: QEMU 7.2.9 there has no machine type 'pc-q35-9.0'");
    offer_.kind = MoveKind::cold;
    EXPECT_EQ(check(), Findings{}) << "it boots afresh, with what there is";
    ASSERT_TRUE(config_.set_global("machine", "pc-q35-9.0"));
    EXPECT_THAT(error(), HasSubstr("pc-q35-9.0")) << "unless it is configured";
}

TEST_F(ChecksTest, NoQemuIsOneError) {
    facts_ = {.qemu_problem = "qemu-system-x86_64: not found",
              .memory_total = facts_.memory_total,
              .memory_available = facts_.memory_available};
    facts_.cpus = 2;
    EXPECT_EQ(error(), "destination: qemu-system-x86_64: not found");
}

TEST_F(ChecksTest, NoAccelerator) {
    facts_.accel_problem = "accel=kvm cannot be had: /dev/kvm does not exist";
    EXPECT_THAT(error(), HasSubstr("/dev/kvm does not exist"));
}

TEST_F(ChecksTest, NoFirmware) {
    facts_.firmware_problem = "OVMF.fd is missing";
    EXPECT_EQ(error(), "destination: firmware: OVMF.fd is missing");
}

TEST_F(ChecksTest, AnOlderQemuIsOnlySaid) {
    facts_.qemu_version = "7.1.22";
    EXPECT_THAT(warning(), HasSubstr("QEMU there is 7.1.22, older than 7.2.9"));
    for (const char* fine : {"7.2.9", "7.2.10", "10.0.0"}) {
        facts_.qemu_version = fine;
        EXPECT_EQ(check(), Findings{}) << fine;
    }
}

// The CPU

TEST_F(ChecksTest, FeaturesThatAreMissingAreNamedAndTheClassThatWouldDo) {
    set_cpu("migration-class3");
    facts_.cpu.lacking["Skylake-Server-noTSX-IBRS"] = {"avx512bw", "avx512f"};
    const std::string text = error();
    EXPECT_THAT(text, HasSubstr("CPU class mismatch"));
    EXPECT_THAT(text, HasSubstr("the CPU there lacks: avx512bw avx512f; "));
    EXPECT_THAT(text, HasSubstr("cpu-arch=migration-class2 (x86-64-v3)"));
}

TEST_F(ChecksTest, WhatTheSourceLacksTooIsNotMissing) {
    set_cpu("migration-class3");
    facts_.cpu.lacking["Skylake-Server-noTSX-IBRS"] = {"avx512f", "pcid"};
    offer_.facts.cpu.lacking["Skylake-Server-noTSX-IBRS"] = {"avx512f", "invpcid", "pcid"};
    EXPECT_EQ(check(), Findings{});
}

TEST_F(ChecksTest, AHostModelNeedsEveryFeatureOfTheSource) {
    set_cpu("host");
    facts_.cpu.fullest = {"avx", "fma", "sse2"};
    EXPECT_THAT(error(), HasSubstr("lacks: avx2 avx512f; "));
    facts_.cpu.fullest = {"avx", "avx2", "avx512f", "fma", "sse2"};
    EXPECT_EQ(check(), Findings{});
}

TEST_F(ChecksTest, NoClassMayDoAtAll) {
    for (auto& [model, lacking] : facts_.cpu.lacking)
        lacking = {"cx16"};
    EXPECT_THAT(error(), HasSubstr("no cpu-arch would be the same on both hosts"));
}

TEST_F(ChecksTest, AnImageIsNamed) {
    offer_.kind = MoveKind::warm;
    offer_.facts.image_id = "ca110000";
    facts_.cpu.lacking["Nehalem"] = {"popcnt"};
    EXPECT_THAT(error(), HasSubstr("Suspended image ca110000 (CPU class mismatch)"));
}

TEST_F(ChecksTest, WhatBootsAfreshIsOnlyTold) {
    offer_.kind = MoveKind::cold;
    facts_.cpu.lacking["Nehalem"] = {"popcnt"};
    EXPECT_THAT(warning(), HasSubstr("boot without features of cpu-arch migration-class1"));
    facts_.accel = "tcg";
    EXPECT_EQ(check(), Findings{});
    set_cpu("host");
    facts_.accel = "kvm";
    EXPECT_EQ(check(), Findings{});
}

TEST_F(ChecksTest, AModelThatQemuThereDoesNotKnow) {
    facts_.cpu.lacking.erase("Nehalem");
    EXPECT_THAT(error(), HasSubstr("no CPU model 'Nehalem'"));
}

TEST_F(ChecksTest, ModelsThatAreNotKnown) {
    facts_.cpu_problem = "QEMU does not answer";
    EXPECT_THAT(error(), HasSubstr("QEMU does not answer"));
    offer_.kind = MoveKind::cold;
    EXPECT_THAT(warning(), HasSubstr("QEMU does not answer"));
}

TEST_F(ChecksTest, ManyFeaturesAreNotAllNamed) {
    for (int i = 0; i < 100; ++i)
        facts_.cpu.lacking["Nehalem"].push_back(fmt::format("f{:03}", i));
    EXPECT_THAT(error(), HasSubstr("f031 and 68 more; "));
}

// Room

TEST_F(ChecksTest, MemoryThatIsNotThere) {
    facts_.memory_available = 2 * kGiB - 1;
    EXPECT_THAT(error(), HasSubstr("2048 MiB of memory do not fit: 2047 MiB are available"));
}

TEST_F(ChecksTest, MemoryThatOthersHaveBeenPromised) {
    facts_.memory_promised = 7 * kGiB;
    EXPECT_THAT(error(), HasSubstr("8192 MiB are available, and 7168 MiB of them are promised"));
    facts_.memory_promised = 6 * kGiB;
    EXPECT_EQ(check(), Findings{});
    facts_.memory_promised = UINT64_MAX;
    offer_.kind = MoveKind::cold;
    EXPECT_THAT(warning(), HasSubstr("do not fit")) << "it does not run yet";
}

TEST_F(ChecksTest, AHostThatIsTooSmallForAnyKind) {
    offer_.kind = MoveKind::cold;
    facts_.memory_total = kGiB;
    EXPECT_THAT(error(), HasSubstr("the host has 1024 MiB"));
}

TEST_F(ChecksTest, FewerCpusAreOnlySaid) {
    zone::Resource cpus = zone::Resource(*zone::find_resource("virtual-cpu"));
    ASSERT_TRUE(cpus.set("ncpus", "8"));
    config_.add(cpus);
    EXPECT_THAT(warning(), HasSubstr("the zone has 8 CPUs, the host only 4"));
}

// The network

TEST_F(ChecksTest, ABridgeThatIsMissing) {
    facts_.anets[0] = {.id = 0, .problem = "anet 0: lower-link 'br7' does not exist on this host"};
    EXPECT_EQ(error(), "destination: anet 0: lower-link 'br7' does not exist on this host");
}

TEST_F(ChecksTest, NoBridgeAtAllEndsConnections) {
    facts_.anets[0].bridged = false;
    EXPECT_THAT(error(), HasSubstr("there is no bridge"));
    offer_.kind = MoveKind::warm;
    EXPECT_THAT(warning(), HasSubstr("there is no bridge"));
    offer_.kind = MoveKind::live;
    offer_.facts.bridged.clear();
    EXPECT_THAT(warning(),
                HasSubstr("source: anet 0: it uses user-mode networking; its connections are lost"))
        << "it had none before either";
    facts_.anets[0].bridged = true;
    EXPECT_THAT(warning(), HasSubstr("its connections are lost")) << "a bridge there does not help";
}

TEST_F(ChecksTest, AZoneThatBootsAfreshHasNoConnectionsToLose) {
    offer_.kind = MoveKind::cold;
    offer_.facts.bridged.clear();
    EXPECT_THAT(check().warnings, IsEmpty());
}

// The disks

TEST_F(ChecksTest, ADiskThatDoesNotOpen) {
    facts_.disks[0].problem = "iscsi://store/target.iqn.x,lun.1: no such unit";
    EXPECT_EQ(error(), "destination: device 0: iscsi://store/target.iqn.x,lun.1: no such unit");
}

TEST_F(ChecksTest, ADiskOfAnotherSize) {
    facts_.disks[0].bytes = 4096;
    EXPECT_THAT(error(),
                HasSubstr("device 0: not the same volume: it has 4096 bytes, at the source 8589934592"));
}

TEST_F(ChecksTest, OtherContentIsADoubtForTheSourceToSettle) {
    facts_.disks[0].samples = {1, 9, 8};
    const Findings found = check();
    EXPECT_THAT(found.errors, IsEmpty());
    EXPECT_THAT(found.doubts, ElementsAre(DiskDoubt{0, {1, 2}}));
}

// Ownership

TEST_F(ChecksTest, HostDataThatCannotBeRead) {
    facts_.host_data.reset();
    facts_.host_data_problem = storage::wrong_key_message("ant1");
    EXPECT_THAT(error(), HasSubstr("Encryption key is incorrect"));
}

TEST_F(ChecksTest, ADiskOfAnotherZone) {
    facts_.host_data->zone_uuid = "00000000-0000-0000-0000-000000000000";
    EXPECT_THAT(error(), HasSubstr("belongs to another zone"));
}

TEST_F(ChecksTest, ADiskOfAnotherOwner) {
    facts_.host_data->owner = storage::Owner{"id3", "node3\x1b[2J"};
    EXPECT_THAT(error(), HasSubstr("as owner, but host 'node3?[2J'"));
    facts_.host_data->owner.reset();
    EXPECT_THAT(error(), HasSubstr("but nobody"));
    facts_.host_data->owner = storage::Owner{"id1", "renamed"};
    EXPECT_EQ(check(), Findings{}) << "names change";
}

TEST_F(ChecksTest, ACopyOfTheDisk) {
    facts_.host_data->heartbeat = 99;
    EXPECT_THAT(error(), HasSubstr("it is a copy, not the same volume"));
    facts_.host_data->heartbeat = 100;
    EXPECT_EQ(check(), Findings{});
    facts_.host_data->epoch = 3;
    EXPECT_THAT(error(), HasSubstr("it is a copy, not the same volume"));
}

// The image

class ImageChecks : public ChecksTest {
  protected:
    ImageChecks() {
        offer_.kind = MoveKind::warm;
        facts_.host_data->suspend = storage::SuspendRecord{"ca11", "/zones/ant1.susp", "now"};
        facts_.image.emplace();
        facts_.image->image_id = "ca11";
        facts_.image->zone_uuid = offer_.zone_uuid;
        facts_.image->memory_bytes = config_.memory_bytes();
        facts_.image->cpu_count = config_.cpu_count();
    }
};

TEST_F(ImageChecks, Fine) {
    EXPECT_EQ(check(), Findings{});
}

TEST_F(ImageChecks, ThatCannotBeRead) {
    facts_.image_problem = "/zones/ant1.susp: No such file or directory";
    EXPECT_EQ(error(), "destination: the suspend image: /zones/ant1.susp: No such file or directory");
    offer_.kind = MoveKind::cold;
    EXPECT_EQ(check(), Findings{});
}

TEST_F(ImageChecks, OfSomethingElse) {
    facts_.image->image_id = "dead";
    EXPECT_THAT(error(), HasSubstr("Suspended image dead (host data record another image)"));
    facts_.image->image_id = "ca11";
    facts_.image->zone_uuid = "other";
    EXPECT_THAT(error(), HasSubstr("it is of another zone"));
    facts_.image->zone_uuid = offer_.zone_uuid;
    facts_.image->memory_bytes = kGiB;
    EXPECT_THAT(error(), HasSubstr("of memory, the zone is configured with"));
    facts_.image->memory_bytes = config_.memory_bytes();
    facts_.image->cpu_count = 77;
    EXPECT_THAT(error(), HasSubstr("it has 77 CPUs"));
}

// What the source sees

class AcceptanceChecks : public ChecksTest {
  protected:
    AcceptanceChecks() {
        acceptance_.destination = {"id2", "node2"};
        acceptance_.ciphers = cipher_names();
        acceptance_.received_ms = 1'000'020;
        acceptance_.answered_ms = 1'000'520;
    }
    Findings judge() const { return check_acceptance(offer_, acceptance_, times_); }
    Acceptance acceptance_;
    CallTimes times_{.sent_ms = 1'000'000, .answered_ms = 1'000'540};
};

TEST_F(AcceptanceChecks, Fine) {
    EXPECT_EQ(judge(), Findings{});
    EXPECT_TRUE(conclude(offer_, acceptance_, judge()));
}

TEST_F(AcceptanceChecks, FindingsOfTheOtherSideAreKept) {
    acceptance_.findings = {.errors = {"a"}, .warnings = {"b"}, .doubts = {{1, {2}}}};
    EXPECT_EQ(judge(), acceptance_.findings);
}

TEST_F(AcceptanceChecks, ClocksAreComparedWithTheDoubtThatTheWayBrings) {
    EXPECT_EQ(clock_offset(times_, acceptance_).offset, milliseconds(0));
    EXPECT_EQ(clock_offset(times_, acceptance_).doubt, milliseconds(20));
    for (const auto& [shift, text] : std::initializer_list<std::pair<int, const char*>>{
             {1500, "its clock is 1.5 s ahead of the source's"},
             {-3000, "its clock is 3.0 s behind the source's"}}) {
        acceptance_.received_ms = 1'000'020U + static_cast<unsigned>(shift);
        acceptance_.answered_ms = 1'000'520U + static_cast<unsigned>(shift);
        ASSERT_EQ(judge().warnings.size(), 1U);
        EXPECT_THAT(judge().warnings[0], HasSubstr(text));
        EXPECT_TRUE(conclude(offer_, acceptance_, judge()));
    }
    acceptance_.received_ms = 1'001'000;
    acceptance_.answered_ms = 1'001'500;
    EXPECT_EQ(judge(), Findings{}) << "not clearly more than a second";
}

TEST_F(AcceptanceChecks, ASlowWayIsNoSkew) {
    times_.answered_ms = 1'010'000;
    EXPECT_EQ(judge(), Findings{});
}

TEST_F(AcceptanceChecks, AbsurdTimesDoNoHarm) {
    acceptance_.received_ms = UINT64_MAX;
    acceptance_.answered_ms = UINT64_MAX;
    EXPECT_EQ(judge().warnings.size(), 1U);
}

TEST_F(AcceptanceChecks, TheHostItself) {
    acceptance_.destination = {"id1", "node1"};
    EXPECT_THAT(judge().errors, ElementsAre(HasSubstr("it is this host, node1")));
}

TEST_F(AcceptanceChecks, WhatFailedOtherwiseIsSaidToBeTheMigration) {
    acceptance_.findings.errors = {"destination: no room"};
    EXPECT_EQ(migration_failed(conclude(offer_, acceptance_, judge()).error(), "it stays").message(),
              "configuration check failed:\nerror: destination: no room");
    EXPECT_EQ(migration_failed(Error(Errc::io, "a cut")).message(), "migration failed: a cut");
    EXPECT_EQ(migration_failed(Error(Errc::io, "a cut"), "it stays").message(),
              "migration failed: a cut; it stays");
}

TEST_F(AcceptanceChecks, ACipherThatIsMissingHasTheOriginalsTwoLines) {
    offer_.cipher = crypto::Cipher::aes_256_gcm;
    acceptance_.ciphers = {"aes-128-ccm", "none"};
    const auto refused = conclude(offer_, acceptance_, judge());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message(),
              "cipher aes-256-gcm not supported by destination\ndestination supports: aes-128-ccm none");
    acceptance_.findings.errors = {"destination: no room"};
    const auto both = conclude(offer_, acceptance_, judge());
    ASSERT_FALSE(both);
    EXPECT_EQ(both.error().message(),
              "configuration check failed:\nerror: destination: no room\nerror: cipher aes-256-gcm not "
              "supported by "
              "destination, which supports: aes-128-ccm none");
}

}  // namespace
}  // namespace kz::migrate
