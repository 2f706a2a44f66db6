// The mini builder: a zone's disk with Debian's cloud kernel and a busybox userland, which boots by itself in
// seconds. For the command that installs zones. Nothing is mounted and nothing runs in the new tree; it needs
// root only so that the files in the zone belong to root.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
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
    Path work_dir;   // some 30 MiB are used in here for the time of the installation
    Path share_dir = HostPaths::share();
    std::vector<StaticAddress> network;              // of interfaces that the profile does not name
    std::function<void(std::string_view)> progress;  // one line without its end
    int cancel_fd = -1;                              // readable: give up
};

struct InstallReport {
    std::string kernel_release;         // "6.1.0-56-cloud-amd64"
    std::vector<std::string> packages;  // "busybox-static 1:1.35.0-4+deb12u1"
    bool offline = false;               // the packages are those of an earlier installation
    std::string root_uuid;
};

// Errors: Errc::invalid_argument (request), Errc::not_found (a program of the host is missing: the message
// names the package), Errc::no_space, Errc::cancelled, Errc::io... After an error the disk does not boot; the
// cache is whole.
Result<InstallReport> install_mini(const InstallRequest& request);

}  // namespace kz::install
