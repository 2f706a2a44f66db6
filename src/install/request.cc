#include "install/request.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>

#include "base/text.h"

namespace kz::install {
namespace {

bool is_address(const std::string& text) {
    in6_addr ignored;
    return inet_pton(text.find(':') == std::string::npos ? AF_INET : AF_INET6, text.c_str(), &ignored) == 1;
}

bool is_address_with_prefix(const std::string& text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string::npos || !is_address(text.substr(0, slash))) return false;
    const auto prefix = parse_u64(text.substr(slash + 1));
    return prefix && *prefix <= (text.find(':') == std::string::npos ? 32U : 128U);
}

bool is_plain_word(const std::string& text) {
    return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
        return std::isalnum(c) || c == '-' || c == '_' || c == '.';
    });
}

}  // namespace

Result<void> check_request(const InstallRequest& request) {
    if (!is_plain_word(request.zone_name)) {
        return fail(Errc::invalid_argument, "'{}' cannot be a host name", request.zone_name);
    }
    for (const StaticAddress& one : request.network) {
        if (!is_plain_word(one.interface)) {
            return fail(Errc::invalid_argument, "'{}' is not a network interface", one.interface);
        }
        if (!is_address_with_prefix(one.address)) {
            return fail(Errc::invalid_argument, "'{}' is not an address with a prefix such as 192.0.2.5/24",
                        one.address);
        }
        if (!one.router.empty() && !is_address(one.router)) {
            return fail(Errc::invalid_argument, "'{}' is not the address of a router", one.router);
        }
    }
    if (request.usable_bytes < request.manifest.minimum_size) {
        return fail(Errc::no_space, "the disk gives the zone {}; the manifest '{}' asks for {}",
                    render_size(request.usable_bytes), request.manifest.name,
                    render_size(request.manifest.minimum_size));
    }
    return {};
}

}  // namespace kz::install
