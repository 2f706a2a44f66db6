// Taps and bridges of the current network namespace. For the monitor, which gives QEMU open taps, never
// rights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "os/network_guard.h"

namespace kz {

// Names of the bridges, sorted.
std::vector<std::string> list_bridges();
bool interface_exists(const std::string& name);

struct TapOptions {
    std::optional<unsigned> mtu{};
    std::optional<unsigned> vlan{};      // as an access port of that VLAN (os/network_vlan.h)
    LinkProtection protection{};         // os/network_guard.h
    std::uint64_t bytes_per_second = 0;  // in each direction; 0: no limit
};

// Creates a tap that lives as long as the descriptor, with a virtio-net header, puts it into `bridge` and
// brings it up. The kernel chooses the name ("kztap0"...). Errors: Errc::not_found when the bridge does not
// exist.
struct Tap {
    UniqueFd fd;
    std::string name;
};
Result<Tap> create_tap(const std::string& bridge, const TapOptions& options);

// Puts a tap on a bridge as if it were new: what was set at it before is gone. It is down meanwhile: no frame
// passes on the wrong side. Errors leave it down.
Result<void> move_tap(const std::string& tap, const std::string& bridge, const TapOptions& options);

}  // namespace kz
