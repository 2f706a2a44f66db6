#include "qemu/machine_shape.h"

#include <algorithm>

namespace kz::qemu {
namespace {

constexpr unsigned kLeastDiskPorts = 4;
constexpr unsigned kLeastNicPorts = 2;
constexpr unsigned kSpareDisks = 3;
constexpr unsigned kSpareNics = 1;
// A possible processor costs the guest memory, so that a small zone on a large host does not get them all.
constexpr unsigned kCpuGrowth = 4;

Result<unsigned> number_up_to(const Json& json, const char* key, std::uint64_t most) {
    KZ_TRY(const std::uint64_t value, json_u64(json, key));
    if (value == 0 || value > most) return fail(Errc::corrupt, "{}: {} is not possible", key, value);
    return static_cast<unsigned>(value);
}

unsigned ports_for(std::optional<unsigned> highest, unsigned spare, unsigned least, unsigned most) {
    return std::min(most, std::max(least, highest.value_or(0) + 1 + spare));
}

}  // namespace

Result<MachineShape> MachineShape::from_json(const Json& json) {
    MachineShape shape;
    KZ_TRY(shape.layout, number_up_to(json, "layout", UINT32_MAX));
    if (shape.layout > kNewestLayout)
        return fail(Errc::unsupported,
                    "a machine of layout {}: a newer kzones made it than the one that is to run it",
                    shape.layout);
    KZ_TRY(shape.memory_bytes, json_u64(json, "memory"));
    KZ_TRY(shape.max_cpus, number_up_to(json, "max_cpus", kMaxCpus));
    KZ_TRY(shape.disk_ports, number_up_to(json, "disk_ports", kMaxDisks));
    KZ_TRY(shape.nic_ports, number_up_to(json, "nic_ports", kMaxNics));
    KZ_TRY(const auto firmware, json_optional_u64(json, "firmware"));
    shape.firmware_bytes = firmware.value_or(0);
    return shape;
}

Json MachineShape::to_json() const {
    Json json{{"layout", layout},
              {"memory", memory_bytes},
              {"max_cpus", max_cpus},
              {"disk_ports", disk_ports},
              {"nic_ports", nic_ports}};
    if (firmware_bytes > 0) json["firmware"] = firmware_bytes;
    return json;
}

Result<std::optional<MachineShape>> optional_shape(const Json& object) {
    KZ_TRY(const Json* const shape, json_optional_object(object, "shape"));
    if (shape == nullptr) return std::nullopt;
    KZ_TRY(const MachineShape known, MachineShape::from_json(*shape));
    return known;
}

unsigned disk_queues(const MachineShape& shape) {
    constexpr unsigned kMost = 4;
    return shape.layout < kLiveLayout ? 0 : std::min(shape.max_cpus, kMost);
}

MachineShape roomy_shape(const ShapeWishes& wishes) {
    const unsigned cpus = std::min(wishes.host_cpus, kCpuGrowth * wishes.cpus);
    return {.layout = kNewestLayout,
            .memory_bytes = wishes.memory_bytes,
            .max_cpus = std::min(kMaxCpus, std::max(wishes.cpus, cpus)),
            .disk_ports = ports_for(wishes.highest_disk, kSpareDisks, kLeastDiskPorts, kMaxDisks),
            .nic_ports = ports_for(wishes.highest_nic, kSpareNics, kLeastNicPorts, kMaxNics),
            .firmware_bytes = wishes.firmware_bytes};
}

MachineShape first_shape(const ShapeWishes& wishes) {
    return {.layout = 1,
            .memory_bytes = wishes.memory_bytes,
            .max_cpus = wishes.cpus,
            .disk_ports = ports_for(wishes.highest_disk, 0, kLeastDiskPorts, kMaxDisks),
            .nic_ports = ports_for(wishes.highest_nic, 0, kLeastNicPorts, kMaxNics)};
}

}  // namespace kz::qemu
