// What a machine may send through its tap, and how much passes in each direction. For create_tap().
//
// Theory of operation. BPF programs at the tap (os/bpf_program.h), ahead of the bridge, which the machine
// cannot reach:
//
//   source   frames of another source address than the anet's MAC are dropped
//   address  IPv4 packets, ARP and IPv6 packets are dropped unless they come from one of the allowed
//            addresses. Who has none yet may look around: 0.0.0.0 and :: as senders are allowed for that
//            (DHCP, ARP probes, duplicate address detection), and so is fe80::/10. Frames with a second VLAN
//            tag are dropped, since nobody looks behind that.
//   kinds    only IPv4, IPv6, ARP and RARP pass
//   rate     per direction: a frame that would come earlier than the rate allows is dropped. The map's value
//   is the
//            moment (in ns of the boot's clock) at which all that has passed would have come at exactly that
//            rate; it is never further behind than the burst. Frames that two processors handle at once may
//            both count as one, which lets little more through.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "os/announce.h"
#include "os/bpf_program.h"

namespace kz {

struct LinkProtection {
    std::optional<MacAddress> source;    // the only one; nothing: any
    std::vector<std::string> addresses;  // "192.0.2.10/24", "2001:db8::a"; empty: any
    bool known_kinds = false;
};
// What a machine in an anet of that configuration may do. Frames of the machine; the tap's first programs.
// Errors: Errc::invalid_argument for what is no address.
Result<void> protect_link(TapPrograms& programs, const LinkProtection& protection);

// Both directions. `bytes_per_second` is not 0.
Result<void> limit_rate(TapPrograms& programs, std::uint64_t bytes_per_second);

}  // namespace kz
