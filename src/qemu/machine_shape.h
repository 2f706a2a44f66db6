// MachineShape: what of a running machine does not follow from its configuration as it is now, and must be
// the same wherever the machine goes on: recorded with the run, in suspend images, and sent along by a
// migration.
//
// As JSON: {"layout", "memory", "max_cpus", "disk_ports", "nic_ports"}, and "firmware" where it is not BIOS.
#pragma once

#include "base/json.h"
#include "qemu/machine.h"

namespace kz::qemu {

struct MachineShape {
    unsigned layout = kNewestLayout;
    std::uint64_t memory_bytes = 0;  // that it was booted with; the balloon may have taken some of it
    unsigned max_cpus = 1;
    unsigned disk_ports = 4;
    unsigned nic_ports = 2;
    std::uint64_t firmware_bytes = 0;  // UEFI (firmware.h) of that size; 0: BIOS

    bool operator==(const MachineShape&) const = default;

    // Errors: Errc::corrupt; Errc::unsupported for a layout of a newer version.
    static Result<MachineShape> from_json(const Json& json);
    Json to_json() const;
};

// The member "shape"; nothing where there is none. Errors: as MachineShape::from_json().
Result<std::optional<MachineShape>> optional_shape(const Json& object);

// DiskSpec::queues of its disks.
unsigned disk_queues(const MachineShape& shape);

// Of a machine that is to be booted: with room for some more of everything. `highest_*`: the highest index in
// use, nothing where there is none.
struct ShapeWishes {
    std::uint64_t memory_bytes = 0;
    unsigned cpus = 1;
    unsigned host_cpus = 1;
    std::optional<unsigned> highest_disk;
    std::optional<unsigned> highest_nic;
    std::uint64_t firmware_bytes = 0;
};
MachineShape roomy_shape(const ShapeWishes& wishes);
// Of a machine that was started before shapes were recorded.
MachineShape first_shape(const ShapeWishes& wishes);

}  // namespace kz::qemu
