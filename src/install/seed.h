// The seed of cloud-init's data source NoCloud: what a system from elsewhere is told at its first boot. For
// the installer of archives and for clones of what it made.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "install/activity.h"
#include "install/request.h"
#include "os/paths.h"

namespace kz::install {

inline constexpr std::string_view kSeedLabel = "cidata";

// kz-agent for a system that knows nothing of kzones: what runs there once and installs it, and what that
// needs.
struct SeedAgent {
    std::string vendor_data;  // a script for cloud-init
    std::string unit;
    std::string packed_program;  // by gzip
};

struct Seed {
    std::string user_data;
    std::string meta_data;
    std::string network_config;
    std::optional<SeedAgent> agent{};
};

// From the request's zone name, profile and network. `instance_id`: cloud-init configures the system again
// when it has not seen this one. `hardware_addresses` of the interfaces eth0, eth1...: the guest's own names
// of them are not known. `new_machine_id`: the system was another zone's and has its machine id.
Seed plan_seed(const InstallRequest& request, std::string_view instance_id,
               const std::vector<std::string>& hardware_addresses, bool new_machine_id = false);

// What the host's `share` folder (HostPaths::share()) has for it. Nothing where kz-agent was not built.
Result<std::optional<SeedAgent>> load_seed_agent(const Path& share, const Activity& activity);

// As a file system with the label cidata.
Result<Bytes> make_seed_image(const Seed& seed);

// Whether such a file system, or a partition that begins with it, has an agent in it.
bool seed_has_agent(ByteView image);

}  // namespace kz::install
