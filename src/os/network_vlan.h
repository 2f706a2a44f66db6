// A tap as an access port of a VLAN: what the machine sends is of that VLAN, what reaches it is too, and the
// machine sees no tag. For create_tap().
//
// Theory of operation. A bridge that filters VLANs does it itself: the tap's port becomes a member of the one
// VLAN, untagged, and leaves the bridge's default VLAN. A bridge that does not filter forwards tags as they
// are, so there two small BPF programs at the tap do it (tc, clsact):
//
//   from the machine:  a frame that has a tag already is dropped; the others get the VLAN's tag (802.1Q)
//   to the machine:    a frame without a tag, or with another one, is dropped; from the others it is taken
//
// Such a bridge learns addresses for all VLANs together: a MAC address must not be in two VLANs at once.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "os/bpf_program.h"

namespace kz {

inline constexpr unsigned kMaxVlan = 4094;

// Whether the bridge filters VLANs (ip link set BRIDGE type bridge vlan_filtering 1).
bool filters_vlans(const std::string& bridge);

// The tap must be in the bridge, and down, so that no frame passes before. `vlan`: 1 to kMaxVlan.
// Errors: Errc::unsupported where the kernel cannot do it.
// `programs` are the tap's.
Result<void> make_access_port(const std::string& tap, const std::string& bridge, unsigned vlan,
                              TapPrograms& programs);

// Takes the tap from its bridge, and so from the bridge's VLANs; its programs stay.
Result<void> leave_bridge(const std::string& tap);

}  // namespace kz
