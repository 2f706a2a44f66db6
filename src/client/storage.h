// A zone's disks, as install, uninstall, attach and boot need them. For the client API's own files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/client.h"
#include "storage/host_data.h"
#include "storage/suri.h"
#include "storage/volume.h"
#include "store/registry.h"
#include "store/status.h"
#include "zone/config.h"

namespace kz::client {

// Opens the boot disk and asks whether this host may use it. An ownership, key or storage problem is
// Errc::unavailable, in words that go into the zone's record.
Result<storage::HostData> check_ownership(const store::Registry& registry, const zone::Config& config,
                                          const std::string& uuid);

// The volume of one of a zone's devices. Errors of opening name the device.
Result<std::unique_ptr<storage::Volume>> open_device(const zone::Device& device,
                                                     const storage::StorageAccess& access);

// Several devices with a bootpri are a mirrored root, as in the original. Refuses them (Errc::unsupported),
// and says what to do: no installer makes one. `installer` is what the user called it.
Result<void> check_one_boot_disk(const zone::Config& config, const std::string& installer);

// Creates the volumes that do not exist, with `bytes` each. Returns those it made.
Result<std::vector<storage::Suri>> create_missing_volumes(const zone::Config& config, std::uint64_t bytes,
                                                          const storage::StorageAccess& access);
// The best that can be done; for undoing.
void destroy_volumes(const std::vector<storage::Suri>& volumes, const storage::StorageAccess& access);

// Refuses (Errc::unavailable) when another zone of this host is installed under `uuid`: one disk is one
// zone's.
Result<void> check_sole_user(const store::Registry& registry, const std::string& zone,
                             const std::string& uuid);
// Refuses (Errc::unavailable) a disk whose host data say that another host, or another zone of this one, uses
// it. Host data under another key count too: they cannot be verified, but they can be read.
Result<void> check_unclaimed(const store::Registry& registry, const std::string& zone,
                             storage::Volume& volume);
// Looks at each of the zone's disks. Refuses one that another zone or host uses and, unless the options force
// it, one that holds something, naming what. Errors: Errc::unavailable and Errc::already_exists;
// Errc::invalid_argument when an id that is to be forced is no disk of the zone.
Result<void> check_overwrite(const store::Registry& registry, const zone::Config& config,
                             const InstallOptions& options);

}  // namespace kz::client
