#include "migrate/peer_address.h"

#include <algorithm>

#include "base/text.h"

namespace kz::migrate {
namespace {

constexpr std::size_t kMaxAddress = 512;
constexpr std::size_t kMaxHost = 255;

bool is_host_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}
// A link-local address may name its interface: fe80::1%eth0.
bool is_ipv6_character(char c) {
    return is_host_character(c) || c == ':' || c == '%';
}
std::uint16_t default_port(PeerScheme scheme) {
    return scheme == PeerScheme::ssh ? 0 : kRadPort;
}

std::unexpected<Error> not_an_address(std::string_view text, std::string_view why) {
    return fail(Errc::invalid_argument, "'{}' is not a host: {}", text, why);
}

Result<PeerScheme> take_scheme(std::string_view& rest, std::string_view text) {
    const auto end = rest.find("://");
    if (end == std::string_view::npos) return PeerScheme::rads;
    const std::string scheme = to_lower(rest.substr(0, end));
    rest.remove_prefix(end + 3);
    for (const PeerScheme each : {PeerScheme::rads, PeerScheme::ssh})
        if (scheme == scheme_name(each)) return each;
    return fail(Errc::unsupported, "{}: unknown scheme '{}'", text, scheme);
}

// "host", "host:port", "[v6]" or "[v6]:port"; leaves ":port" or nothing in `rest`.
Result<std::string> take_host(std::string_view& rest, std::string_view text) {
    const bool bracketed = rest.starts_with('[');
    if (bracketed) rest.remove_prefix(1);
    const auto end = std::min(rest.find(bracketed ? ']' : ':'), rest.size());
    if (bracketed && end == rest.size()) return not_an_address(text, "']' is missing");
    const std::string host(rest.substr(0, end));
    rest.remove_prefix(end + (bracketed ? 1 : 0));
    const bool valid = bracketed ? std::ranges::all_of(host, is_ipv6_character) && host.contains(':')
                                 : std::ranges::all_of(host, is_host_character) && !host.starts_with('-');
    if (host.empty()) return not_an_address(text, "the name is empty");
    if (host.size() > kMaxHost || !valid) return not_an_address(text, "the name has a character no host has");
    return host;
}

Result<std::uint16_t> take_port(std::string_view rest, std::uint16_t absent, std::string_view text) {
    if (rest.empty()) return absent;
    if (rest.rfind(':') != 0)
        return not_an_address(text, "an IPv6 address stands in brackets, as in [2001:db8::1]");
    const auto port = parse_u64(rest.substr(1));
    if (!port || *port == 0 || *port > 65535) return not_an_address(text, "the port is not 1 to 65535");
    return static_cast<std::uint16_t>(*port);
}

std::string bracketed(const std::string& host) {
    return host.contains(':') ? "[" + host + "]" : host;
}

}  // namespace

std::string_view scheme_name(PeerScheme scheme) {
    return scheme == PeerScheme::ssh ? "ssh" : "rads";
}

Result<PeerAddress> PeerAddress::parse(std::string_view text) {
    if (text.size() > kMaxAddress)
        return fail(Errc::invalid_argument, "a host's name of {} bytes", text.size());
    PeerAddress address;
    std::string_view rest = text;
    KZ_TRY(address.scheme, take_scheme(rest, text));
    if (const auto at = rest.find('@'); at != std::string_view::npos) {
        address.user = rest.substr(0, at);
        rest.remove_prefix(at + 1);
        // ssh takes what begins with a dash for an option.
        if (address.user.empty() || address.user.starts_with('-') ||
            !std::ranges::all_of(address.user, is_host_character))
            return not_an_address(text, "the user's name is not one");
    }
    KZ_TRY(address.host, take_host(rest, text));
    if (address.scheme == PeerScheme::rads) address.host = to_lower(address.host);
    KZ_TRY(address.port, take_port(rest, default_port(address.scheme), text));
    return address;
}

std::string PeerAddress::render() const {
    std::string text = fmt::format("{}://", scheme_name(scheme));
    if (!user.empty()) text += user + "@";
    text += bracketed(host);
    if (port != default_port(scheme)) text += fmt::format(":{}", port);
    return text;
}

std::string PeerAddress::known_hosts_name() const {
    return port == kRadPort ? host : fmt::format("[{}]:{}", host, port);
}

}  // namespace kz::migrate
