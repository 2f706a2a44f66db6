#include "monitor/network.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "crypto/hash.h"
#include "os/announce.h"
#include "os/network.h"
#include "zone/bandwidth.h"

namespace kz::monitor {
namespace {

// Frames for the addresses that the zone is given with its configuration. Where it chooses its addresses
// itself, nobody but the zone can announce them.
Result<std::vector<Bytes>> announcements_of(const std::string& mac, const zone::Anet& anet) {
    std::vector<Bytes> frames;
    if (!anet.configure_allowed_address || anet.allowed_address.empty()) return frames;
    KZ_TRY(const MacAddress binary, parse_mac_address(mac));
    for (const std::string& address : split(anet.allowed_address, ',')) {
        KZ_TRY(Bytes frame, announcement_of(binary, trim(address)));
        frames.push_back(std::move(frame));
    }
    return frames;
}

bool wants_protection(const zone::Anet& anet, std::string_view kind) {
    const std::vector<std::string> kinds = split(anet.link_protection, ',');
    return std::ranges::find(kinds, kind) != kinds.end();
}

Result<LinkProtection> protection_of(const std::string& mac, const zone::Anet& anet) {
    LinkProtection protection;
    protection.known_kinds = wants_protection(anet, "restricted");
    if (wants_protection(anet, "mac-nospoof")) {
        KZ_TRY(protection.source, parse_mac_address(mac));
    }
    if (!wants_protection(anet, "ip-nospoof")) return protection;
    if (anet.allowed_address.empty())
        return fail(Errc::invalid_argument,
                    "link-protection ip-nospoof needs an allowed-address: nobody else says which it is");
    for (const std::string& address : split(anet.allowed_address, ','))
        protection.addresses.emplace_back(trim(address));
    return protection;
}

}  // namespace

std::string mac_of(const zone::Config& config, const zone::Anet& anet) {
    if (anet.mac_address != "auto" && !anet.mac_address.empty()) return anet.mac_address;
    // hostid is part of the configuration and goes along when the zone moves; the zone's name may change.
    const std::string seed =
        fmt::format("kzones mac {} {}", config.hostid().empty() ? config.name() : config.hostid(), anet.id);
    const auto digest = crypto::sha256(as_bytes(seed));
    return fmt::format("02:08:20:{:02x}:{:02x}:{:02x}", digest[0], digest[1], digest[2]);
}

Result<std::optional<std::string>> bridge_for(const zone::Anet& anet) {
    constexpr std::string_view kOwnBridge = "kzbr0";
    const std::vector<std::string> bridges = list_bridges();
    const auto is_bridge = [&](std::string_view name) {
        return std::ranges::find(bridges, name) != bridges.end();
    };
    if (!anet.lower_link.empty() && anet.lower_link != "auto") {
        if (is_bridge(anet.lower_link)) return std::optional(anet.lower_link);
        if (!interface_exists(anet.lower_link))
            return fail(Errc::not_found, "anet {}: lower-link '{}' does not exist on this host", anet.id,
                        anet.lower_link);
        return fail(Errc::invalid_argument,
                    "anet {0}: lower-link '{1}' is not a bridge; make a bridge, add {1} to it, and name the "
                    "bridge",
                    anet.id, anet.lower_link);
    }
    if (bridges.empty()) return std::optional<std::string>();
    return std::optional(is_bridge(kOwnBridge) ? std::string(kOwnBridge) : bridges.front());
}

std::string AnetConnection::text() const {
    if (bridge.empty()) return "user-mode networking";
    return vlan ? fmt::format("bridge {}, VLAN {}", bridge, *vlan) : fmt::format("bridge {}", bridge);
}

Result<AnetConnection> connection_of(const zone::Anet& anet) {
    KZ_TRY(std::optional<std::string> bridge, bridge_for(anet));
    AnetConnection connection{.id = anet.id, .bridge = std::move(bridge).value_or(""), .vlan = {}};
    if (!anet.vlan_id || *anet.vlan_id == 0) return connection;
    if (connection.bridge.empty())
        return fail(Errc::unsupported,
                    "anet {}: VLAN {} needs a bridge, and this host has none; make one, or clear vlan-id",
                    anet.id, *anet.vlan_id);
    connection.vlan = anet.vlan_id;
    return connection;
}

Result<TapOptions> tap_options_of(const zone::Config& config, const zone::Anet& anet,
                                  const AnetConnection& connection) {
    KZ_TRY_CONTEXT(const LinkProtection protection, protection_of(mac_of(config, anet), anet),
                   fmt::format("anet {}", anet.id));
    return TapOptions{.mtu = anet.mtu,
                      .vlan = connection.vlan,
                      .protection = protection,
                      .bytes_per_second = zone::bandwidth_bytes(anet.maxbw)};
}

Result<ConnectedNic> connect_nic(const zone::Config& config, const zone::Anet& anet) {
    KZ_TRY(const AnetConnection connection, connection_of(anet));
    ConnectedNic connected;
    connected.nic.index = anet.id;
    connected.nic.mac = mac_of(config, anet);
    connected.nic.mtu = anet.mtu;
    if (connection.bridge.empty()) {
        connected.note = fmt::format(
            "anet {}: this host has no bridge; using user-mode networking, which nobody can connect to, and "
            "whose connections are lost when the zone moves{}",
            anet.id, anet.maxbw.empty() ? "" : "; maxbw is not applied");
        return connected;
    }
    KZ_TRY(const TapOptions options, tap_options_of(config, anet, connection));
    KZ_TRY_CONTEXT(Tap tap, create_tap(connection.bridge, options), fmt::format("anet {}", anet.id));
    if (wants_protection(anet, "dhcp-nospoof"))
        connected.note = fmt::format("anet {}: link-protection dhcp-nospoof is not applied", anet.id);
    UniqueFd copy(::fcntl(tap.fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!copy) return fail_errno(errno, "dup");
    KZ_TRY_CONTEXT(std::vector<Bytes> frames, announcements_of(connected.nic.mac, anet),
                   fmt::format("anet {}", anet.id));
    connected.tap = std::move(tap.fd);
    connected.tap_name = std::move(tap.name);
    connected.wire.emplace(qemu::nic_id(anet.id), std::move(copy), std::move(frames));
    return connected;
}

}  // namespace kz::monitor
