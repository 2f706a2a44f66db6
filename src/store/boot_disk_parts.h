// What a BootDisk is made of. Internal to store/boot_disk*.cc.
#pragma once

#include <memory>
#include <mutex>

#include "store/boot_disk.h"

namespace kz::store {

struct BootDisk::Parts {
    Parts(std::string zone_name, HostIdentity identity, std::unique_ptr<storage::Volume> opened,
          storage::HostDataArea host_data, storage::LeaseTimings lease_timings,
          storage::LeaseClock& lease_clock)
        : zone(std::move(zone_name)),
          host(std::move(identity)),
          volume(std::move(opened)),
          area(std::move(host_data)),
          timings(lease_timings),
          clock(lease_clock) {}

    const std::string zone;
    const HostIdentity host;
    const std::unique_ptr<storage::Volume> volume;
    storage::HostDataArea area;
    const storage::LeaseTimings timings;
    storage::LeaseClock& clock;

    std::mutex turn;  // of those who read and write; while it is held nothing is waited for but the storage
    std::optional<storage::HostData> known;  // in turn: as last read or written
    std::string warning;                     // in turn

    std::mutex lease_mutex;  // of the pointer only
    std::shared_ptr<storage::Lease> lease;
};

}  // namespace kz::store
