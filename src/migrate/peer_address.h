// PeerAddress: how an administrator names another host, "[rads://][user@]host[:port]". For src/migrate,
// src/client and the commands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kz::migrate {

inline constexpr std::uint16_t kRadPort = 12302;

struct PeerAddress {
    std::string user;  // empty when none was given
    std::string host;  // lower case; an IPv6 address without its brackets
    std::uint16_t port = kRadPort;

    // IPv6 addresses stand in brackets: "[2001:db8::1]:12302". Errors: Errc::unsupported for ssh:// and other
    // schemes, Errc::invalid_argument for anything that is not such an address. The messages name `text`.
    static Result<PeerAddress> parse(std::string_view text);

    // "rads://user@[2001:db8::1]:12302", as short as it can be said.
    std::string render() const;
    // The name in the known-hosts file: "host", or "[host]:port" where the port is not 12302 (as ssh has it).
    std::string known_hosts_name() const;

    bool operator==(const PeerAddress&) const = default;
};

}  // namespace kz::migrate
