// A profile as a mini zone can have it: the files that it becomes. For the mini builder and the command that
// installs zones.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "install/mini.h"

namespace kz::install {

struct MiniHome {
    Path path;
    uid_t owner;  // the group has the same number
};

struct MiniIdentity {
    std::string host_name;
    std::string network;  // content of /etc/kz/network
    std::vector<ManifestFile> files;
    std::vector<MiniHome> homes;
    // What the profile asks for and a mini zone does not have: "the keyboard"...
    std::vector<std::string> left_out;
};

// Reads the time zone from this host, and the accounts that the profile's users are added to from the share
// folder. Errors: Errc::not_found for a time zone that this host does not know.
Result<MiniIdentity> plan_identity(const InstallRequest& request);

}  // namespace kz::install
