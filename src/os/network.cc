#include "os/network.h"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "os/file.h"
#include "os/network_vlan.h"

namespace kz {
namespace {

Result<ifreq> request_for(const std::string& name) {
    ifreq request{};
    if (name.empty() || name.size() >= sizeof request.ifr_name)
        return fail(Errc::invalid_argument, "'{}' is not a name of an interface", name);
    std::memcpy(request.ifr_name, name.c_str(), name.size() + 1);
    return request;
}

// What the machine may send is looked at before it is tagged, what reaches it is counted after its tag was
// looked at.
Result<void> guard_tap(const std::string& tap, const std::string& bridge, const TapOptions& options) {
    KZ_TRY(TapPrograms programs, TapPrograms::open(tap));
    KZ_CHECK_CONTEXT(protect_link(programs, options.protection), "link-protection");
    if (options.vlan) KZ_CHECK(make_access_port(tap, bridge, *options.vlan, programs));
    if (options.bytes_per_second != 0)
        KZ_CHECK_CONTEXT(limit_rate(programs, options.bytes_per_second), "maxbw");
    return {};
}

Result<void> configure_tap(const std::string& tap, const std::string& bridge, const TapOptions& options) {
    const UniqueFd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!control) return fail_errno(errno, "socket");
    KZ_TRY(ifreq on_tap, request_for(tap));
    if (options.mtu) {
        on_tap.ifr_mtu = static_cast<int>(*options.mtu);
        if (::ioctl(control.get(), SIOCSIFMTU, &on_tap) < 0)
            return fail_errno(errno, fmt::format("setting the MTU of {}", tap));
    }
    KZ_TRY(ifreq on_bridge, request_for(bridge));
    on_bridge.ifr_ifindex = static_cast<int>(::if_nametoindex(tap.c_str()));
    if (::ioctl(control.get(), SIOCBRADDIF, &on_bridge) < 0)
        return fail_errno(errno, fmt::format("adding {} to bridge {}", tap, bridge));
    KZ_CHECK(guard_tap(tap, bridge, options));
    on_tap.ifr_flags = IFF_UP;
    if (::ioctl(control.get(), SIOCSIFFLAGS, &on_tap) < 0)
        return fail_errno(errno, fmt::format("bringing {} up", tap));
    return {};
}

Result<void> take_down(const std::string& tap) {
    const UniqueFd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!control) return fail_errno(errno, "socket");
    KZ_TRY(ifreq request, request_for(tap));
    if (::ioctl(control.get(), SIOCSIFFLAGS, &request) < 0)
        return fail_errno(errno, fmt::format("taking {} down", tap));
    return {};
}

}  // namespace

std::vector<std::string> list_bridges() {
    std::vector<std::string> names;
    const UniqueFd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    struct if_nameindex* const all = ::if_nameindex();
    for (struct if_nameindex* each = all; each != nullptr && each->if_index != 0; ++each) {
        Result<ifreq> request = request_for(each->if_name);
        if (!request) continue;
        ethtool_drvinfo driver{};
        driver.cmd = ETHTOOL_GDRVINFO;
        request->ifr_data = reinterpret_cast<char*>(&driver);
        if (::ioctl(control.get(), SIOCETHTOOL, &*request) < 0) continue;
        if (std::string_view(driver.driver) == "bridge") names.emplace_back(each->if_name);
    }
    if (all != nullptr) ::if_freenameindex(all);
    std::ranges::sort(names);
    return names;
}

bool interface_exists(const std::string& name) {
    return ::if_nametoindex(name.c_str()) != 0;
}

Result<Tap> create_tap(const std::string& bridge, const TapOptions& options) {
    if (!interface_exists(bridge))
        return fail(Errc::not_found, "bridge '{}' does not exist on this host", bridge);
    KZ_TRY(UniqueFd fd, open_file("/dev/net/tun", O_RDWR | O_NONBLOCK));
    ifreq request{};
    std::strcpy(request.ifr_name, "kztap%d");
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
    if (::ioctl(fd.get(), TUNSETIFF, &request) < 0) return fail_errno(errno, "creating a tap");
    Tap tap{std::move(fd), request.ifr_name};
    KZ_CHECK(configure_tap(tap.name, bridge, options));
    return tap;
}

Result<void> move_tap(const std::string& tap, const std::string& bridge, const TapOptions& options) {
    if (!interface_exists(bridge))
        return fail(Errc::not_found, "bridge '{}' does not exist on this host", bridge);
    KZ_CHECK(take_down(tap));
    KZ_CHECK(leave_bridge(tap));
    KZ_CHECK(TapPrograms::remove_all(tap));
    return configure_tap(tap, bridge, options);
}

}  // namespace kz
