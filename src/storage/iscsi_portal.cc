#include "storage/iscsi_portal.h"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/text.h"
#include "os/file.h"
#include "storage/suri_text.h"

namespace kz::storage {
namespace {

constexpr std::size_t kMaxPortalsFile = 64 * 1024;
constexpr std::size_t kMaxPortals = 64;
constexpr std::size_t kMaxHost = 253;

std::unexpected<Error> bad_portal() {
    return fail(Errc::invalid_argument, "not a portal, \"host[:port]\" with IPv6 in brackets");
}

bool is_host_byte(char c) {
    return is_alnum(c) || c == '.' || c == '-' || c == '_';
}

bool is_address_byte(char c) {
    return is_hex(c) || c == ':' || c == '.';
}

}  // namespace

std::string IscsiPortal::text() const {
    return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<IscsiPortal> parse_portal(std::string_view text) {
    IscsiPortal portal;
    std::string_view rest;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) return bad_portal();
        portal.host = text.substr(1, end - 1);
        rest = text.substr(end + 1);
        if (!std::ranges::all_of(portal.host, is_address_byte) || !portal.host.contains(':'))
            return bad_portal();
    } else {
        const auto end = std::min(text.find(':'), text.size());
        portal.host = text.substr(0, end);
        rest = text.substr(end);
        if (!std::ranges::all_of(portal.host, is_host_byte)) return bad_portal();
    }
    if (portal.host.empty() || portal.host.size() > kMaxHost) return bad_portal();
    if (rest.empty()) return portal;
    const auto port = parse_u64(rest.substr(1));
    if (rest[0] != ':' || !port || *port == 0 || *port > UINT16_MAX) return bad_portal();
    portal.port = static_cast<std::uint16_t>(*port);
    return portal;
}

Result<IscsiPortal> parse_listed_portal(std::string_view text, const IscsiPortal& asked) {
    KZ_TRY(IscsiPortal portal, parse_portal(text.substr(0, text.find(','))));
    if (portal.host == "0.0.0.0" || portal.host == "::") portal.host = asked.host;
    return portal;
}

Result<std::vector<IscsiPortal>> portals_of_file(const std::filesystem::path& file) {
    const auto nowhere = [&] {
        return fail(Errc::not_found,
                    "a SURI without a host is looked for at the portals that {} lists, and it lists none; "
                    "name the host in the SURI, or put lines \"host[:port]\" there",
                    file.string());
    };
    const auto text = read_file(file, kMaxPortalsFile);
    if (!text && text.error().code() == Errc::not_found) return nowhere();
    if (!text) return std::unexpected(text.error());
    std::vector<IscsiPortal> portals;
    std::size_t number = 0;
    for (const std::string& line : split(*text, '\n')) {
        ++number;
        const std::string_view content = trim(line);
        if (content.empty() || content.starts_with('#')) continue;
        KZ_TRY_CONTEXT(IscsiPortal portal, parse_portal(content),
                       fmt::format("{}: line {}", file.string(), number));
        if (portals.size() == kMaxPortals)
            return fail(Errc::invalid_argument, "{}: more than {} portals", file.string(), kMaxPortals);
        portals.push_back(std::move(portal));
    }
    if (portals.empty()) return nowhere();
    return portals;
}

Result<std::vector<IscsiPortal>> portals_of(const Suri& suri, const StorageAccess& access) {
    if (!suri.hostname()) return portals_of_file(access.iscsi_portals);
    return std::vector{IscsiPortal{.host = *suri.hostname(), .port = suri.port().value_or(kIscsiPort)}};
}

Result<std::vector<IscsiPortal>> resolve(const IscsiPortal& portal) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* raw = nullptr;
    const int status = ::getaddrinfo(portal.host.c_str(), nullptr, &hints, &raw);
    if (status != 0)
        return fail(Errc::unavailable, "{}: the host's address cannot be found: {}", portal.host,
                    ::gai_strerror(status));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(raw, &::freeaddrinfo);
    std::vector<IscsiPortal> out;
    for (const addrinfo* each = raw; each != nullptr && out.size() < kMaxPortals; each = each->ai_next) {
        std::array<char, NI_MAXHOST> host{};
        if (::getnameinfo(each->ai_addr, each->ai_addrlen, host.data(), host.size(), nullptr, 0,
                          NI_NUMERICHOST) != 0)
            continue;
        IscsiPortal address{.host = host.data(), .port = portal.port};
        if (std::ranges::find(out, address) == out.end()) out.push_back(std::move(address));
    }
    if (out.empty()) return fail(Errc::unavailable, "{}: the host has no address", portal.host);
    return out;
}

}  // namespace kz::storage
