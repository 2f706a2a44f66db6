// The boot disk of a zone that is being installed or cloned. For the client API's own files.
#pragma once

#include <functional>

#include "client/client.h"
#include "client/install_log.h"
#include "install/request.h"
#include "zone/config.h"

namespace kz::client {

struct NewDisk {
    const store::Registry& registry;
    const zone::Config& config;
    InstallLog& log;
    const Reporter& reporter;
    // It may hold something that nobody wants any more.
    bool used_before = false;
};

// What the installers are asked for, but for the disk and what is to be put on it.
install::InstallRequest base_request(const NewDisk& what);

// Calls `fill` with the path of the zone's boot disk, where tools of this host can open it, and `direct`;
// else with a sparse file of the same size, whose content is then sent to the disk.
Result<void> fill_new_disk(const NewDisk& what, bool direct,
                           const std::function<Result<void>(install::InstallRequest&)>& fill);

// Of the zone's anets, in their order.
std::vector<std::string> hardware_addresses(const zone::Config& config);

// What an installation that was killed has left in the zone's folder.
void remove_remains(const Path& zone_dir);

// What a profile is for. An image has a locale of its own, and need not have the host's; a clone has all of
// its source's.
enum class ProfileUse { debian, mini, archive, clone };

// A profile of sysconfig, or nothing but the host's defaults when `path` is empty. Everything that would make
// an installer refuse it is found here, before anything has changed.
Result<install::Profile> read_zone_profile(const std::string& path, const zone::Config& config,
                                           ProfileUse use);

}  // namespace kz::client
