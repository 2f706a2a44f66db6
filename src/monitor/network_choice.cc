// What a zone's anets become on this host: addresses and bridges.
#include <algorithm>

#include "crypto/hash.h"
#include "monitor/machine.h"
#include "os/network.h"

namespace kz::monitor {

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
    if (!anet.lower_link.empty() && anet.lower_link != "auto") {
        if (!interface_exists(anet.lower_link))
            return fail(Errc::not_found, "anet {}: lower-link '{}' does not exist on this host", anet.id,
                        anet.lower_link);
        return std::optional(anet.lower_link);
    }
    const std::vector<std::string> bridges = list_bridges();
    if (bridges.empty()) return std::optional<std::string>();
    return std::optional(std::ranges::find(bridges, kOwnBridge) != bridges.end() ? std::string(kOwnBridge)
                                                                                 : bridges.front());
}

}  // namespace kz::monitor
