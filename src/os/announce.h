// Announcements: frames by which a network learns where an address is now. For the monitor, after a zone has
// come to this host.
//
// Theory of operation. What a move changes is the port of a switch behind which the zone's MAC address is;
// the address itself, and with it what neighbours have in their caches, stays. Each of these frames is sent
// in the zone's name, as if the zone had sent it, so that every switch that it passes learns:
//
//   gratuitous ARP, RFC 826, 5227 (60 bytes)      unsolicited neighbour advertisement, RFC 4861 (86 bytes)
//    0   6  ff:ff:ff:ff:ff:ff                       0   6  33:33:00:00:00:01
//    6   6  the zone's MAC                          6   6  the zone's MAC
//   12   2  0x0806                                 12   2  0x86dd
//   14   8  1, 0x0800, 6, 4, request (1)           14  40  IPv6: 32 bytes of ICMPv6, hop limit 255,
//   22   6  the zone's MAC                                 from the address to ff02::1
//   28   4  the address                            54   8  136, 0, checksum, flags: override
//   32   6  00:00:00:00:00:00                      62  16  the address
//   38   4  the address                            78   8  option 2, length 1, the zone's MAC
//   42  18  padding
#pragma once

#include <array>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace kz {

using MacAddress = std::array<Byte, 6>;

// "02:08:20:aa:bb:cc", either case.
Result<MacAddress> parse_mac_address(std::string_view text);

// The frame that says that `address` ("192.0.2.10", "2001:db8::a", with or without "/PREFIX") is at `mac`.
// Errors: Errc::invalid_argument.
Result<Bytes> announcement_of(const MacAddress& mac, std::string_view address);

// Writes a frame into a tap's descriptor, which must have been opened with IFF_VNET_HDR: the host takes it as
// one that the machine at the tap has sent. Does not block; errors are of write(2).
Result<void> send_through_tap(int tap_fd, ByteView frame);

}  // namespace kz
