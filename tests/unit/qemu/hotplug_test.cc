#include "qemu/hotplug.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <mutex>

#include "fake_qemu.h"
#include "real_machine.h"

namespace kz::qemu {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

DiskSpec local_disk(unsigned index, std::uint64_t bytes) {
    DiskSpec disk;
    disk.index = index;
    disk.guest_bytes = bytes;
    return disk;
}

Deadline at_once() {
    return Deadline::after(std::chrono::milliseconds(100));
}

// A QEMU that answers by a script and remembers what it was asked.
class HotplugTest : public testing::Test {
  protected:
    HotplugTest() {
        qmp_ = qemu_.attach();
        player_ = std::jthread([this] { play(); });
    }
    ~HotplugTest() override {
        qmp_.reset();
        player_.join();
    }
    void play() {
        for (json command = qemu_.hear(); !command.is_null(); command = qemu_.hear()) {
            const std::string name = command["execute"];
            const std::lock_guard lock(mutex_);
            const bool refused = name == refused_;
            asked_.push_back(name);
            arguments_.push_back(command["arguments"]);
            if (refused)
                qemu_.say(fmt::format(R"({{"error": {{"class": "GenericError", "desc": "no"}}, "id": {}}})",
                                      command["id"].dump()));
            else
                qemu_.answer(command, answers_.contains(name) ? json::parse(answers_[name]).dump() : "{}");
            if (!refused && events_.contains(name)) qemu_.say(events_[name]);
        }
    }
    std::vector<std::string> asked() {
        const std::lock_guard lock(mutex_);
        return asked_;
    }

    FakeQemu qemu_;
    std::unique_ptr<Qmp> qmp_;
    std::mutex mutex_;
    std::string refused_;
    std::map<std::string, std::string> answers_;
    std::map<std::string, std::string> events_;
    std::vector<std::string> asked_;
    std::vector<json> arguments_;
    std::jthread player_;
};

IscsiDisk lun_with_login() {
    return {
        .portal = "192.0.2.1:3260", .target = "iqn.t", .lun = 1, .initiator_name = "iqn.i", .chap_user = "u"};
}

TEST_F(HotplugTest, ADiskWithALoginBringsItsPassword) {
    DiskSpec disk = local_disk(3, 1 << 20);
    disk.remote = lun_with_login();
    const Secret password = Secret(as_bytes("sesame"));
    ASSERT_TRUE(plug_disk(*qmp_, disk, -1, &password));
    EXPECT_THAT(asked(), ElementsAre("object-add", "blockdev-add", "blockdev-add", "device_add"));
    EXPECT_EQ(arguments_[0]["data"], "c2VzYW1l");
    EXPECT_EQ(arguments_[1]["password-secret"], arguments_[0]["id"]);
    EXPECT_EQ(arguments_[3]["bus"], "diskport3");
}

TEST_F(HotplugTest, WhatFailsIsUndone) {
    DiskSpec disk = local_disk(3, 1 << 20);
    disk.remote = lun_with_login();
    const Secret password = Secret(as_bytes("sesame"));
    refused_ = "device_add";
    const auto plugged = plug_disk(*qmp_, disk, -1, &password);
    ASSERT_FALSE(plugged);
    EXPECT_EQ(plugged.error().message(), "device_add: no");
    EXPECT_THAT(asked(), ElementsAre("object-add", "blockdev-add", "blockdev-add", "device_add",
                                     "blockdev-del", "blockdev-del", "object-del"));
    EXPECT_EQ(arguments_[4]["node-name"], "disk3");
    EXPECT_EQ(arguments_[5]["node-name"], "disk3-file");
}

TEST_F(HotplugTest, ANicWithoutATapIsOfTheUserModeNetwork) {
    ASSERT_TRUE(plug_nic(*qmp_, {.index = 1, .mac = "02:08:20:00:00:01", .mtu = {}}, -1));
    EXPECT_THAT(asked(), ElementsAre("netdev_add", "device_add"));
    EXPECT_FALSE(plug_nic(*qmp_, {.index = 1, .mac = "none", .mtu = {}}, -1));
}

TEST_F(HotplugTest, ADiskThatTheGuestGivesUpIsTakenAway) {
    events_["device_del"] = R"({"event": "DEVICE_DELETED", "data": {"device": "disk1", "path": "/p"}})";
    ASSERT_TRUE(unplug_disk(*qmp_, 1, soon(), -1));
    EXPECT_THAT(asked(),
                ElementsAre("device_del", "blockdev-del", "blockdev-del", "object-del", "remove-fd"));
}

TEST_F(HotplugTest, AGuestThatKeepsItKeepsEverything) {
    events_["device_del"] = R"({"event": "DEVICE_DELETED", "data": {"device": "disk2", "path": "/p"}})";
    EXPECT_EQ(unplug_disk(*qmp_, 1, at_once(), -1).error().code(), Errc::timeout);
    EXPECT_THAT(asked(), ElementsAre("device_del"));
}

TEST_F(HotplugTest, ProcessorsComeAndGoAtTheEnd) {
    answers_["query-hotpluggable-cpus"] = R"([
        {"type": "T", "vcpus-count": 1, "props": {"socket-id": 0, "core-id": 2, "thread-id": 0}},
        {"type": "T", "vcpus-count": 1, "props": {"socket-id": 0, "core-id": 1, "thread-id": 0}, "qom-path": "/c1"},
        {"type": "T", "vcpus-count": 1, "props": {"socket-id": 0, "core-id": 0, "thread-id": 0}, "qom-path": "/c0"}])";
    EXPECT_EQ(count_cpus(*qmp_).value(), 2U);
    ASSERT_TRUE(plug_cpu(*qmp_));
    EXPECT_EQ(arguments_.back(), json::parse(R"({"driver": "T", "id": "cpu2", "socket-id": 0, "core-id": 2,
                                                 "thread-id": 0})"));
    events_["device_del"] = R"({"event": "DEVICE_DELETED", "data": {"path": "/c1"}})";
    ASSERT_TRUE(unplug_cpu(*qmp_, soon(), -1));
    EXPECT_EQ(arguments_.back()["id"], "/c1");
}

TEST_F(HotplugTest, NoRoomForAnotherProcessor) {
    answers_["query-hotpluggable-cpus"] =
        R"([{"type": "T", "props": {"socket-id": 0, "core-id": 0}, "qom-path": "/c0"}])";
    EXPECT_EQ(plug_cpu(*qmp_).error().code(), Errc::no_space);
    answers_["query-hotpluggable-cpus"] = R"({"cpus": 1})";
    EXPECT_EQ(count_cpus(*qmp_).error().code(), Errc::protocol);
}

TEST_F(HotplugTest, TheBalloonThatIsThereAlready) {
    answers_["query-balloon"] = R"({"actual": 1048576})";
    EXPECT_EQ(resize_balloon(*qmp_, 1048576, -1).value(), 1048576U);
    EXPECT_THAT(asked(), ElementsAre("query-balloon", "balloon"));
}

TEST(LeftDevice, OfTheEvent) {
    const auto of = [](const char* device) {
        return left_device({.name = "DEVICE_DELETED", .data = {{"device", device}, {"path", "/p"}}});
    };
    EXPECT_EQ(of("disk7")->kind, LeftDevice::Kind::disk);
    EXPECT_EQ(of("disk7")->index, 7U);
    EXPECT_EQ(of("net1")->kind, LeftDevice::Kind::nic);
    for (const char* other : {"cpu1", "disk", "disk99", "diskport1", "network"})
        EXPECT_EQ(of(other)->kind, LeftDevice::Kind::other) << other;
    EXPECT_FALSE(left_device({.name = "RESET"}));
}

class RealHotplug : public testing::Test {
  protected:
    void SetUp() override {
        std::ofstream(file_) << std::string(1 << 20, 'x');
        fd_ = UniqueFd(::open(file_.c_str(), O_RDWR | O_CLOEXEC));
        ASSERT_TRUE(fd_);
    }
    bool has_node(std::string_view name) {
        const json nodes = machine_.qmp().execute("query-named-block-nodes").value();
        return std::ranges::any_of(nodes,
                                   [&](const json& each) { return each.value("node-name", "") == name; });
    }
    Workshop workshop_;
    Path file_ = workshop_.file("more.img");
    UniqueFd fd_;
    RealMachine machine_{workshop_, "a"};
};

TEST_F(RealHotplug, QemuTakesADisk) {
    const auto plugged = plug_disk(machine_.qmp(), local_disk(2, 1 << 20), fd_.get(), nullptr);
    ASSERT_TRUE(plugged) << plugged.error().message();
    EXPECT_TRUE(has_node("disk2"));
    EXPECT_TRUE(has_node("disk2-file"));
}

TEST_F(RealHotplug, AndTheSameStorageOnlyOnce) {
    ASSERT_TRUE(plug_disk(machine_.qmp(), local_disk(2, 1 << 20), fd_.get(), nullptr));
    const UniqueFd again(::open(file_.c_str(), O_RDWR | O_CLOEXEC));
    const auto plugged = plug_disk(machine_.qmp(), local_disk(3, 1 << 20), again.get(), nullptr);
    ASSERT_FALSE(plugged);
    EXPECT_THAT(plugged.error().message(), HasSubstr("lock"));
    EXPECT_FALSE(has_node("disk3"));
    EXPECT_FALSE(has_node("disk3-file"));
}

TEST_F(RealHotplug, ADiskWithoutAPortIsRefused) {
    EXPECT_FALSE(plug_disk(machine_.qmp(), local_disk(31, 1 << 20), fd_.get(), nullptr));
    EXPECT_FALSE(has_node("disk31"));
}

TEST_F(RealHotplug, QemuTakesANic) {
    const auto plugged = plug_nic(machine_.qmp(), {.index = 1, .mac = "02:08:20:00:00:01", .mtu = {}}, -1);
    EXPECT_TRUE(plugged) << plugged.error().message();
}

TEST_F(RealHotplug, ItTellsOfMemoryAndProcessors) {
    const std::uint64_t now = balloon_size(machine_.qmp()).value();
    EXPECT_GT(now, 0U);
    EXPECT_EQ(count_cpus(machine_.qmp()).value(), 1U);
}

}  // namespace
}  // namespace kz::qemu
