#include "os/announce.h"

#include <arpa/inet.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "base/text.h"

namespace kz {
namespace {

constexpr std::size_t kMinimumFrame = 60;  // without its checksum
constexpr std::uint16_t kEtherTypeArp = 0x0806;
constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;
constexpr Byte kIcmpv6 = 58;
constexpr MacAddress kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr MacAddress kAllNodesMac{0x33, 0x33, 0, 0, 0, 1};
constexpr std::array<Byte, 16> kAllNodes{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01};

void append(Bytes& out, ByteView bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_be16(Bytes& out, std::uint16_t value) {
    out.push_back(static_cast<Byte>(value >> 8));
    out.push_back(static_cast<Byte>(value));
}

Bytes ethernet(const MacAddress& to, const MacAddress& from, std::uint16_t type) {
    Bytes frame;
    append(frame, to);
    append(frame, from);
    append_be16(frame, type);
    return frame;
}

Bytes gratuitous_arp(const MacAddress& mac, ByteView address) {
    constexpr std::array<Byte, 8> kRequest{0, 1, 0x08, 0x00, 6, 4, 0, 1};
    Bytes frame = ethernet(kBroadcast, mac, kEtherTypeArp);
    append(frame, kRequest);
    append(frame, mac);
    append(frame, address);
    append(frame, MacAddress{});
    append(frame, address);
    frame.resize(kMinimumFrame);
    return frame;
}

// RFC 1071, of an even number of bytes.
std::uint16_t internet_checksum(std::uint32_t sum, ByteView bytes) {
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
        sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

Bytes neighbour_advertisement(const MacAddress& mac, ByteView address) {
    constexpr std::array<Byte, 8> kAdvertisement{136, 0, 0, 0, 0x20, 0, 0, 0};
    constexpr std::array<Byte, 2> kTargetAddressOption{2, 1};
    Bytes message;
    append(message, kAdvertisement);
    append(message, address);
    append(message, kTargetAddressOption);
    append(message, mac);
    Bytes frame = ethernet(kAllNodesMac, mac, kEtherTypeIpv6);
    append(frame, std::array<Byte, 4>{0x60, 0, 0, 0});
    append_be16(frame, static_cast<std::uint16_t>(message.size()));
    append(frame, std::array<Byte, 2>{kIcmpv6, 255});
    append(frame, address);
    append(frame, kAllNodes);
    // The checksum covers both addresses, the length and the protocol as well.
    Bytes covered(frame.end() - 2 * 16, frame.end());
    append(covered, message);
    const std::uint16_t checksum =
        internet_checksum(static_cast<std::uint32_t>(message.size()) + kIcmpv6, covered);
    message[2] = static_cast<Byte>(checksum >> 8);
    message[3] = static_cast<Byte>(checksum);
    append(frame, message);
    return frame;
}

}  // namespace

Result<MacAddress> parse_mac_address(std::string_view text) {
    MacAddress mac;
    const std::vector<std::string> octets = split(text, ':');
    if (octets.size() == mac.size()) {
        for (std::size_t i = 0; i < mac.size(); ++i) {
            const auto value = octets[i].size() == 2 ? parse_hex_u64(octets[i]) : std::nullopt;
            if (!value) break;
            mac[i] = static_cast<Byte>(*value);
            if (i + 1 == mac.size()) return mac;
        }
    }
    return fail(Errc::invalid_argument, "'{}' is not a MAC address", text);
}

Result<Bytes> announcement_of(const MacAddress& mac, std::string_view address) {
    const std::string bare(address.substr(0, address.find('/')));
    std::array<Byte, 16> binary{};
    if (::inet_pton(AF_INET, bare.c_str(), binary.data()) == 1)
        return gratuitous_arp(mac, ByteView(binary).first(4));
    if (::inet_pton(AF_INET6, bare.c_str(), binary.data()) == 1) return neighbour_advertisement(mac, binary);
    return fail(Errc::invalid_argument, "'{}' is not an address", address);
}

Result<void> send_through_tap(int tap_fd, ByteView frame) {
    // Whoever else has the tap chooses the size; all zero means: nothing is left to the host to finish.
    int header_size = 0;
    if (::ioctl(tap_fd, TUNGETVNETHDRSZ, &header_size) < 0) return fail_errno(errno, "TUNGETVNETHDRSZ");
    Bytes packet(static_cast<std::size_t>(std::max(header_size, 0)));
    append(packet, frame);
    const ssize_t written = ::write(tap_fd, packet.data(), packet.size());
    if (written < 0) return fail_errno(errno, "writing to a tap");
    if (static_cast<std::size_t>(written) != packet.size())
        return fail(Errc::io, "a tap took {} of {} bytes", written, packet.size());
    return {};
}

}  // namespace kz
