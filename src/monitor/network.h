// What a zone's anets become on this host: MAC addresses, bridges, taps. For the monitor, and for the checks
// that are made before a zone comes here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "os/network.h"
#include "qemu/machine.h"
#include "zone/config.h"

namespace kz::monitor {

// "auto" becomes a locally administered address that is the same on every host.
std::string mac_of(const zone::Config& config, const zone::Anet& anet);

// The bridge for an anet's lower-link; nothing when this host has none ("auto" then uses QEMU's own network).
// Errors: Errc::not_found when the lower-link is not there, Errc::invalid_argument when it is no bridge.
Result<std::optional<std::string>> bridge_for(const zone::Anet& anet);

// How an anet is connected when the zone runs on this host.
struct AnetConnection {
    unsigned id = 0;
    std::string bridge;            // empty: user-mode networking
    std::optional<unsigned> vlan;  // 1 to 4094

    // Whether clients keep their connections when the zone moves between two hosts on which this holds:
    // QEMU's user-mode network ends with the QEMU that it is in.
    bool survives_move() const { return !bridge.empty(); }
    // "bridge kzbr0", "bridge kzbr0, VLAN 10", "user-mode networking"
    std::string text() const;
    bool operator==(const AnetConnection&) const = default;
};
// Changes nothing. Errors: as bridge_for(), and Errc::unsupported where this host cannot do what the anet
// asks for.
Result<AnetConnection> connection_of(const zone::Anet& anet);

// What the host does with the anet's tap on that connection.
Result<TapOptions> tap_options_of(const zone::Config& config, const zone::Anet& anet,
                                  const AnetConnection& connection);

// An anet's wire, held by the monitor beside the machine: to speak in the zone's name when that has just come
// to this host.
struct Wire {
    std::string device;                // of the machine: "net0"
    UniqueFd tap;                      // the same tap as the machine's
    std::vector<Bytes> announcements;  // frames for the addresses of which the zone's configuration speaks
};

struct ConnectedNic {
    qemu::NicSpec nic;            // without the descriptor's number in the child
    std::optional<UniqueFd> tap;  // for the machine
    std::string tap_name;         // empty: none
    std::optional<Wire> wire;
    std::string note;  // what an administrator wants to know; empty: nothing
};
// Makes the tap and puts it on its bridge. It lives as long as one of the two descriptors.
Result<ConnectedNic> connect_nic(const zone::Config& config, const zone::Anet& anet);

}  // namespace kz::monitor
