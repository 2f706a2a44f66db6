#include "qemu/probe.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "os/file.h"
#include "os/process.h"
#include "qemu/machine.h"
#include "qemu/probe_answers.h"

namespace kz::qemu {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ProbeAnswers, MachinesAreSortedByNumber) {
    EXPECT_THAT(sort_q35_machines({"pc-q35-9.2", "pc-q35-10.0", "pc-q35-4.0", "pc-q35-4.0.1",
                                   "pc-i440fx-10.0", "q35", "pc-q35-rhel9.6.0", "pc-q35-", "microvm"}),
                ElementsAre("pc-q35-10.0", "pc-q35-9.2", "pc-q35-4.0.1", "pc-q35-4.0"));
}

TEST(ProbeAnswers, VersionMustBeWhole) {
    const auto read = [](const char* text) { return read_version(json::parse(text)); };
    EXPECT_EQ(read(R"({"major": 10, "minor": 0, "micro": 2})"), (QemuVersion{10, 0, 2}));
    for (const char* bad : {R"({"major": 10, "minor": 0})", R"({"major": -1, "minor": 0, "micro": 0})",
                            R"({"major": 1099511627776, "minor": 0, "micro": 0})", R"("7.2.0")"}) {
        const auto version = read(bad);
        ASSERT_FALSE(version) << bad;
        EXPECT_EQ(version.error().code(), Errc::protocol);
    }
}

TEST(ProbeAnswers, NamesSkipWhatIsStrange) {
    EXPECT_THAT(read_names(json::parse(R"([{"name": "a"}, 3, {"name": 4}, {}, {"name": "b"}])"), "name"),
                ElementsAre("a", "b"));
    EXPECT_TRUE(read_names(json("x"), "name").empty());
}

TEST(QemuVersion, FloorIsDebian12) {
    EXPECT_LT((QemuVersion{7, 1, 99}), kQemuFloor);
    EXPECT_LT(kQemuFloor, (QemuVersion{10, 0, 0}));
    EXPECT_EQ((QemuVersion{7, 2, 22}).text(), "7.2.22");
}

class ProbeTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = testing::TempDir() + "kz-probe-XXXXXX";
        folder_ = ::mkdtemp(name.data());
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    // A program that says what QEMU would over descriptor 3, and counts how often it was started.
    Path fake_qemu(std::string_view script) {
        const Path path = folder_ / "fake-qemu";
        EXPECT_TRUE(write_file_atomic(
            path, fmt::format("#!/bin/bash\necho x >> {}\n{}\n", (folder_ / "starts").string(), script),
            0755));
        return path;
    }
    std::size_t starts() { return read_file(folder_ / "starts", 4096).value_or("").size() / 2; }

    static std::string answering(std::string_view version, std::string_view machine) {
        return fmt::format(R"(exec 4<&3
say() {{ printf '%s\r\n' "$1" >&3; }}
say '{{"QMP": {{"version": {{"qemu": {{{}}}}}, "capabilities": []}}}}'
while read -r line <&4; do
    id=${{line##*'"id":'}}; id=${{id%%[^0-9]*}}
    case $line in
    *query-machines*) say '{{"return": [{{"name": "{}"}}], "id": '$id'}}' ;;
    *query-commands*) say '{{"return": [{{"name": "cont"}}], "id": '$id'}}' ;;
    *query-migrate-cap*) say '{{"return": [{{"capability": "multifd", "state": false}}], "id": '$id'}}' ;;
    *query-cpu*) say '{{"return": [{{"name": "Nehalem"}}], "id": '$id'}}' ;;
    *qom-list*) say '{{"return": [{{"name": "pvpanic-pci"}}], "id": '$id'}}' ;;
    *) say '{{"return": {{}}, "id": '$id'}}' ;;
    esac
done
)",
                           version, machine);
    }
    Path folder_;
};

TEST_F(ProbeTest, InstalledQemu) {
    const auto info = probe_qemu();
    ASSERT_TRUE(info) << info.error().message();
    EXPECT_TRUE(info->binary.is_absolute());
    EXPECT_GE(info->version, kQemuFloor);
    EXPECT_THAT(info->newest_q35(), HasSubstr("pc-q35-"));
    EXPECT_TRUE(info->has_machine("pc-q35-7.2"));
    EXPECT_TRUE(info->has_migration_capability("multifd"));
    EXPECT_TRUE(info->has_migration_capability("pause-before-switchover"));
    EXPECT_TRUE(info->has_command("migrate-continue"));
    EXPECT_FALSE(info->has_command("no-such-command"));
    for (const char* device : {"pvpanic-pci", "virtio-blk-pci", "pcie-root-port", "virtconsole"})
        EXPECT_TRUE(info->has_device(device)) << device;
    for (const char* arch : {"", "generic", "migration-class2", "migration-class3", "host"}) {
        for (const char* accel : {"kvm", "tcg"})
            EXPECT_THAT(info->cpu_models, Contains(*cpu_model_for(arch, accel)));
    }
}

TEST_F(ProbeTest, MissingQemuNamesThePackage) {
    for (const char* name : {"no-such-qemu", "/no/such/qemu"}) {
        const auto info = probe_qemu({.binary = name});
        ASSERT_FALSE(info);
        EXPECT_EQ(info.error().code(), Errc::not_found);
        EXPECT_THAT(info.error().message(), HasSubstr("qemu-system-x86"));
    }
}

TEST_F(ProbeTest, OldQemuIsRefused) {
    const auto info =
        probe_qemu({.binary = fake_qemu(answering(R"("major": 7, "minor": 1, "micro": 9)", "pc-q35-7.1"))});
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().code(), Errc::unsupported);
    EXPECT_THAT(info.error().message(), HasSubstr("QEMU 7.1.9 is too old; 7.2.0 or newer is needed"));
}

TEST_F(ProbeTest, QemuWithoutQ35IsRefused) {
    const auto info =
        probe_qemu({.binary = fake_qemu(answering(R"("major": 9, "minor": 0, "micro": 0)", "microvm"))});
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().code(), Errc::unsupported);
}

TEST_F(ProbeTest, ProgramThatIsNoQemuSaysWhy) {
    const auto info = probe_qemu({.binary = fake_qemu("echo 'no such library' >&2; exit 1")});
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().code(), Errc::unavailable);
    EXPECT_THAT(info.error().message(), HasSubstr("no such library"));
}

TEST_F(ProbeTest, ProgramThatHangsIsEnded) {
    const auto info = probe_qemu(
        {.binary = fake_qemu("exec sleep 600"), .deadline = Deadline::after(std::chrono::milliseconds(200))});
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().code(), Errc::timeout);
}

TEST_F(ProbeTest, AnswersAreKeptUntilTheBinaryChanges) {
    const Path cache = folder_ / "cache/deeper";
    const std::string version = R"("major": 10, "minor": 0, "micro": 2)";
    const ProbeOptions options{.binary = fake_qemu(answering(version, "pc-q35-10.0")), .cache_dir = cache};
    const auto first = probe_qemu(options);
    ASSERT_TRUE(first) << first.error().message();
    const auto second = probe_qemu(options);
    ASSERT_TRUE(second);
    EXPECT_EQ(starts(), 1U);
    EXPECT_EQ(second->version, (QemuVersion{10, 0, 2}));
    EXPECT_EQ(second->q35_machines, first->q35_machines);
    EXPECT_EQ(second->cpu_models, first->cpu_models);
    EXPECT_EQ(second->commands, first->commands);
    EXPECT_EQ(second->migration_capabilities, first->migration_capabilities);
    EXPECT_EQ(second->devices, first->devices);
    EXPECT_EQ(second->binary, first->binary);

    fake_qemu(answering(version, "pc-q35-10.12"));
    const auto third = probe_qemu(options);
    ASSERT_TRUE(third);
    EXPECT_EQ(starts(), 2U);
    EXPECT_EQ(third->newest_q35(), "pc-q35-10.12");
}

TEST_F(ProbeTest, DamagedCacheIsAskedAgain) {
    const ProbeOptions options{
        .binary = fake_qemu(answering(R"("major": 10, "minor": 0, "micro": 2)", "pc-q35-10.0")),
        .cache_dir = folder_};
    const Path file = folder_ / "qemu-probe.json";
    ASSERT_TRUE(probe_qemu(options));
    const std::string good = *read_file(file, 1 << 20);
    json strange = json::parse(good);
    strange["binaries"][options.binary.string()]["cpu_models"] = 7;
    json other_format = json::parse(good);
    other_format["format"] = 2;
    std::size_t expected = 1;
    for (const std::string& text : {std::string("{"), good.substr(0, good.size() / 2), strange.dump(),
                                    other_format.dump(), std::string("[]")}) {
        ASSERT_TRUE(write_file_atomic(file, text, 0644));
        EXPECT_TRUE(probe_qemu(options)) << text;
        EXPECT_EQ(starts(), ++expected) << text;
    }
    EXPECT_TRUE(probe_qemu(options));
    EXPECT_EQ(starts(), expected);
}

}  // namespace
}  // namespace kz::qemu
