// PeerAddress: how an administrator names another host, "[rads|ssh]://[user@]host[:port]". For src/migrate,
// src/client and the commands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kz::migrate {

inline constexpr std::uint16_t kRadPort = 12302;

// How remote administration is reached: TLS on a port of its own, or a login by ssh.
enum class PeerScheme { rads = 1, ssh };
std::string_view scheme_name(PeerScheme scheme);

struct PeerAddress {
    std::string user;  // empty when none was given
    // An IPv6 address without its brackets. Lower case for rads; as typed for ssh, which may know it by an
    // alias.
    std::string host;
    std::uint16_t port = kRadPort;  // 0 for ssh: the one that ssh would take
    PeerScheme scheme = PeerScheme::rads;

    // A bare host means rads. IPv6 addresses stand in brackets: "[2001:db8::1]:12302". Errors:
    // Errc::unsupported for other schemes, Errc::invalid_argument for anything that is not such an address.
    // The messages name `text`.
    static Result<PeerAddress> parse(std::string_view text);

    // "rads://user@[2001:db8::1]:12302", as short as it can be said.
    std::string render() const;
    // The name in our known-hosts file, for rads: "host", or "[host]:port" where the port is not 12302 (as
    // ssh has it).
    std::string known_hosts_name() const;

    bool operator==(const PeerAddress&) const = default;
};

}  // namespace kz::migrate
