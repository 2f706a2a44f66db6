#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.h"
#include "zone/checks.h"
#include "zone/pattern.h"

namespace kz::zone {

namespace {

constexpr std::size_t kMaxPath = 1023;

Checked bad(std::string_view offending) {
    return std::unexpected(BadValue{std::string(offending)});
}

bool is_absolute_path(std::string_view value) {
    const auto parts = split(value, '/');
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    return value.size() > 1 && value.size() <= kMaxPath && value.starts_with('/') &&
           std::ranges::find(parts, "..") == parts.end() && std::ranges::none_of(value, is_control);
}

bool is_suri(std::string_view value) {
    constexpr std::array kSchemes{"file:", "dev:", "iscsi://", "nfs://", "lu:"};
    const auto is_blank = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
    const auto fits = [&](std::string_view scheme) {
        return value.size() > scheme.size() && to_lower(value.substr(0, scheme.size())) == scheme;
    };
    return value.size() <= kMaxPath && std::ranges::any_of(kSchemes, fits) &&
           std::ranges::none_of(value, is_blank);
}

// Octets as "2:8:20:0:1:a" or "02:08:20:00:01:0a", in the long form; empty when it is not that.
std::string canonical_octets(std::string_view value, std::size_t count) {
    const auto parts = split(value, ':');
    if (parts.size() != count) return {};
    std::string out;
    for (const std::string& part : parts) {
        const auto octet = part.size() <= 2 ? parse_hex_u64(part) : std::nullopt;
        if (!octet) return {};
        out += fmt::format("{}{:02x}", out.empty() ? "" : ":", *octet);
    }
    return out;
}

bool is_unicast(std::string_view canonical) {
    return (*parse_hex_u64(canonical.substr(0, 2)) & 1) == 0;
}

// Bits in an address of this family: 32, 128, or 0 when the text is no address.
unsigned address_bits(const std::string& text) {
    in6_addr address{};
    if (inet_pton(AF_INET, text.c_str(), &address) == 1) return 32;
    return inet_pton(AF_INET6, text.c_str(), &address) == 1 ? 128 : 0;
}

bool is_address_with_prefix(const std::string& text) {
    const auto slash = text.find('/');
    const unsigned bits = address_bits(text.substr(0, slash));
    if (slash == std::string::npos) return bits != 0;
    const auto prefix = parse_u64(std::string_view(text).substr(slash + 1));
    return bits != 0 && prefix && *prefix <= bits;
}

}  // namespace

Checked check_path(const PropertySpec&, std::string_view value) {
    if (!is_absolute_path(value)) return bad(value);
    return std::string(value);
}

Checked check_device(const PropertySpec&, std::string_view value) {
    if (!is_absolute_path(value) || !value.starts_with("/dev/") || value.ends_with('/')) return bad(value);
    return std::string(value);
}

Checked check_suri(const PropertySpec&, std::string_view value) {
    if (!is_suri(value)) return bad(value);
    return std::string(value);
}

Checked check_template(const PropertySpec&, std::string_view value) {
    if (!is_suri(value) || !pattern_is_known(value)) return bad(value);
    return std::string(value);
}

Checked check_link(const PropertySpec&, std::string_view value) {
    constexpr std::size_t kMaxInterfaceName = 15;
    const auto ordinary = [](char c) {
        return std::isgraph(static_cast<unsigned char>(c)) != 0 && c != '/' && c != ':';
    };
    if (value.empty() || value.size() > kMaxInterfaceName || value == "." || value == ".." ||
        !std::ranges::all_of(value, ordinary))
        return bad(value);
    return std::string(value);
}

Checked check_mac(const PropertySpec&, std::string_view value) {
    if (value == "auto") return std::string(value);
    std::string canonical = canonical_octets(value, 6);
    if (canonical.empty() || !is_unicast(canonical) || canonical == "00:00:00:00:00:00") return bad(value);
    return canonical;
}

Checked check_mac_prefix(const PropertySpec&, std::string_view value) {
    std::string canonical = canonical_octets(value, 3);
    if (canonical.empty() || !is_unicast(canonical)) return bad(value);
    return canonical;
}

Checked check_addresses(const PropertySpec&, std::string_view value) {
    for (const std::string& item : split(value, ','))
        if (!is_address_with_prefix(item)) return bad(item);
    return std::string(value);
}

Checked check_routers(const PropertySpec&, std::string_view value) {
    for (const std::string& item : split(value, ','))
        if (address_bits(item) == 0) return bad(item);
    return std::string(value);
}

}  // namespace kz::zone
