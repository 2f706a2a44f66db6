#include "qemu/machine_shape.h"

#include <gtest/gtest.h>

namespace kz::qemu {
namespace {

TEST(MachineShape, RoundTrip) {
    const MachineShape shape{
        .layout = 2, .memory_bytes = 1ULL << 30, .max_cpus = 8, .disk_ports = 7, .nic_ports = 3};
    const auto read = MachineShape::from_json(shape.to_json());
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, shape);
}

TEST(MachineShape, OnlyUefiIsMentioned) {
    MachineShape shape{.memory_bytes = 1ULL << 30};
    EXPECT_FALSE(shape.to_json().contains("firmware"));
    shape.firmware_bytes = 2ULL << 20;
    EXPECT_EQ(MachineShape::from_json(shape.to_json())->firmware_bytes, 2U << 20);
    Json bad = shape.to_json();
    bad["firmware"] = "OVMF";
    EXPECT_FALSE(MachineShape::from_json(bad));
}

TEST(MachineShape, BadOnesAreRefused) {
    const Json good = MachineShape{.memory_bytes = 1ULL << 30}.to_json();
    for (const auto& [field, value] : {std::pair<const char*, Json>{"layout", 0},
                                       {"layout", kNewestLayout + 1},
                                       {"max_cpus", 0},
                                       {"max_cpus", kMaxCpus + 1},
                                       {"disk_ports", kMaxDisks + 1},
                                       {"nic_ports", kMaxNics + 1},
                                       {"memory", "much"}}) {
        Json bad = good;
        bad[field] = value;
        EXPECT_FALSE(MachineShape::from_json(bad)) << bad;
        bad.erase(field);
        EXPECT_FALSE(MachineShape::from_json(bad)) << bad;
    }
}

TEST(MachineShape, ANewMachineHasRoom) {
    const MachineShape shape = roomy_shape(
        {.memory_bytes = 1ULL << 30, .cpus = 2, .host_cpus = 64, .highest_disk = 4, .highest_nic = {}});
    EXPECT_EQ(shape, (MachineShape{.layout = kNewestLayout,
                                   .memory_bytes = 1ULL << 30,
                                   .max_cpus = 8,
                                   .disk_ports = 8,
                                   .nic_ports = 2}));
}

TEST(MachineShape, ButNotMoreThanThereCanBe) {
    const MachineShape shape = roomy_shape({.memory_bytes = 1ULL << 30,
                                            .cpus = 4,
                                            .host_cpus = 1,
                                            .highest_disk = kMaxDisks - 1,
                                            .highest_nic = kMaxNics - 1});
    EXPECT_EQ(shape.max_cpus, 4U);
    EXPECT_EQ(shape.disk_ports, kMaxDisks);
    EXPECT_EQ(shape.nic_ports, kMaxNics);
}

TEST(MachineShape, DisksHaveQueuesForAllProcessorsThatMayCome) {
    EXPECT_EQ(disk_queues({.layout = 2, .max_cpus = 2}), 2U);
    EXPECT_EQ(disk_queues({.layout = 2, .max_cpus = 64}), 4U);
    EXPECT_EQ(disk_queues({.layout = 1, .max_cpus = 2}), 0U);
}

TEST(MachineShape, TheFirstLayoutIsWhatItWas) {
    const MachineShape shape = first_shape(
        {.memory_bytes = 1ULL << 30, .cpus = 2, .host_cpus = 64, .highest_disk = 5, .highest_nic = 0});
    EXPECT_EQ(shape,
              (MachineShape{
                  .layout = 1, .memory_bytes = 1ULL << 30, .max_cpus = 2, .disk_ports = 6, .nic_ports = 2}));
}

}  // namespace
}  // namespace kz::qemu
