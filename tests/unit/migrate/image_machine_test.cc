#include "migrate/image_machine.h"

#include <gmock/gmock.h>

#include "zonecfg/parse_export.h"

namespace kz::migrate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kStored =
    "create -b\nadd device\nset storage=file:///d0\nset id=0\nend\nadd anet\nset id=0\nend\n"
    "add capped-memory\nset physical=256M\nend\nadd virtual-cpu\nset ncpus=1\nend\n";

zone::Config parse(std::string text) {
    return zonecfg::parse_export(text, "z").value();
}

zone::Config stored() {
    return parse(std::string(kStored));
}

zone::Config live() {
    return parse(std::string(kStored) + "add device\nset storage=file:///d1\nset id=1\nend\n");
}

constexpr qemu::MachineShape kShape{
    .layout = 2, .memory_bytes = 256ULL << 20, .max_cpus = 4, .disk_ports = 4, .nic_ports = 2};

image::ImageInfo image_of(const zone::Config& config) {
    image::ImageInfo info;
    info.memory_bytes = kShape.memory_bytes;
    info.cpu_count = config.cpu_count();
    info.devices = {"disk0 file:///d0"};
    describe_image_machine({kShape, config}, stored(), info);
    return info;
}

TEST(ImageMachine, WhatTheZoneRanWithGoesOn) {
    const auto machine = image_machine(image_of(live()), stored());
    ASSERT_TRUE(machine) << machine.error().message();
    EXPECT_EQ(machine->config, live());
    EXPECT_EQ(machine->shape, kShape);
}

TEST(ImageMachine, AnUnchangedZoneIsNotToldTwice) {
    const image::ImageInfo info = image_of(stored());
    EXPECT_EQ(info.devices.size(), 2U);
    EXPECT_EQ(image_machine(info, stored())->config, stored());
}

TEST(ImageMachine, AConfigurationThatWasChangedSinceCounts) {
    zone::Config changed = stored();
    ASSERT_TRUE(changed.set_global("cpu-arch", "generic"));
    EXPECT_EQ(image_machine(image_of(live()), changed)->config, changed);
}

TEST(ImageMachine, WhatDoesNotConcernTheMachineMayChange) {
    zone::Config changed = stored();
    ASSERT_TRUE(changed.set_global("autoboot", "true"));
    const auto machine = image_machine(image_of(live()), changed);
    EXPECT_EQ(machine->config.devices().size(), 2U);
    EXPECT_TRUE(machine->config.autoboot());
}

TEST(ImageMachine, ImagesOfEarlierVersionsAreOfTheFirstLayout) {
    image::ImageInfo info = image_of(stored());
    info.devices = {"disk0 file:///d0"};
    const auto machine = image_machine(info, stored());
    EXPECT_EQ(machine->shape.layout, 1U);
    EXPECT_EQ(machine->shape.memory_bytes, kShape.memory_bytes);
    EXPECT_EQ(machine->config, stored());
}

TEST(ImageMachine, DamageIsSeen) {
    image::ImageInfo info = image_of(live());
    for (std::string& each : info.devices)
        if (each.starts_with("board ")) each = "board {\"layout\":99}";
    EXPECT_FALSE(image_machine(info, stored()));
}

TEST(ImageMachine, DevicesAlone) {
    EXPECT_THAT(device_entries(image_of(live())), ElementsAre("disk0 file:///d0"));
}

TEST(ImageMachine, MemoryAndProcessors) {
    image::ImageInfo info = image_of(stored());
    EXPECT_EQ(machine_mismatch(info, stored()), "");
    info.cpu_count = 3;
    EXPECT_THAT(machine_mismatch(info, stored()), HasSubstr("it has 3 CPUs, the zone is configured with 1"));
    info.memory_bytes = 1ULL << 30;
    EXPECT_THAT(machine_mismatch(info, stored()),
                HasSubstr("it has 1G of memory, the zone is configured with 256M"));
}

TEST(LivePart, OnlyWhereItDiffers) {
    EXPECT_EQ(live_part(stored(), stored()), "");
    EXPECT_THAT(live_part(live(), stored()), HasSubstr("file:///d1"));
}

TEST(LivePart, IsReadAsItWasWritten) {
    EXPECT_EQ(with_live_part(stored(), ""), stored());
    const zone::Config read = with_live_part(stored(), live_part(live(), stored())).value();
    EXPECT_EQ(live_part(read, live()), "");
    EXPECT_EQ(with_live_part(stored(), "add device").error().code(), Errc::invalid_argument);
}

}  // namespace
}  // namespace kz::migrate
