// What every builder of zones is asked for, and what it answers. For the builders and the command that
// installs zones.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "install/activity.h"
#include "install/manifest.h"
#include "install/profile.h"
#include "os/paths.h"

namespace kz::install {

// Interfaces that are not named get their address by DHCP.
struct StaticAddress {
    std::string interface = "eth0";
    std::string address;  // "192.0.2.5/24" or "2001:db8::5/64"
    std::string router;   // may be empty
};

struct InstallRequest {
    Path disk;                       // a raw file or a block device; exists, and its content is lost
    std::uint64_t usable_bytes = 0;  // what the zone sees of it; what lies behind is not touched
    std::string zone_name;           // becomes the host name, unless the profile has another
    Manifest manifest;
    Profile profile;
    Path cache_dir;  // packages are kept here (HostPaths::cache_dir())
    Path work_dir;   // what the zone is made of lies in here for the time of the installation
    Path share_dir = HostPaths::share();
    std::vector<StaticAddress> network;  // of interfaces that the profile does not name
    Teller progress;                     // one line without its end
    int cancel_fd = -1;                  // readable: give up
    Teller detail{};                     // lines for the log alone

    Activity activity() const { return {progress, cancel_fd, detail}; }
    const std::string& host_name() const { return profile.host_name.empty() ? zone_name : profile.host_name; }
};

struct InstallReport {
    std::string kernel_release;         // "6.1.0-56-cloud-amd64"
    std::vector<std::string> packages;  // "busybox-static 1:1.35.0-4+deb12u1"
    bool offline = false;               // the packages are those of an earlier installation
    std::string root_uuid;
};

// Refuses (Errc::invalid_argument) what could say more in a file of the zone than it is meant to, and
// (Errc::no_space) a disk that is smaller than the manifest asks for.
Result<void> check_request(const InstallRequest& request);

}  // namespace kz::install
