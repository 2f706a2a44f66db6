#include <algorithm>
#include <map>

#include "install/debian_identity.h"

namespace kz::install {
namespace {

ManifestFile network_file(const std::string& interface, const std::string& content) {
    return {fmt::format("/etc/systemd/network/10-{}.network", interface), 0644,
            fmt::format("# Written by kzones when the zone was installed.\n[Match]\nName={}\n\n[Network]\n{}",
                        interface, content)};
}

std::string profile_lines(const ProfileInterface& one) {
    std::string lines = fmt::format("DHCP={}\n", one.dhcp4 && one.dhcp6 ? "yes"
                                                 : one.dhcp4            ? "ipv4"
                                                 : one.dhcp6            ? "ipv6"
                                                                        : "no");
    for (const std::string& address : one.addresses)
        lines += fmt::format("Address={}\n", address);
    for (const std::string& router : one.routers)
        lines += fmt::format("Gateway={}\n", router);
    for (const std::string& server : one.name_servers)
        lines += fmt::format("DNS={}\n", server);
    if (!one.search.empty()) lines += fmt::format("Domains={}\n", fmt::join(one.search, " "));
    return lines;
}

}  // namespace

std::vector<ManifestFile> network_files(const InstallRequest& request) {
    std::vector<ManifestFile> files;
    for (const ProfileInterface& one : request.profile.interfaces)
        files.push_back(network_file(one.name, profile_lines(one)));
    std::map<std::string, std::string> configured;
    for (const StaticAddress& one : request.network) {
        if (std::ranges::find(request.profile.interfaces, one.interface, &ProfileInterface::name) !=
            request.profile.interfaces.end())
            continue;
        std::string& lines = configured.try_emplace(one.interface, "DHCP=no\n").first->second;
        lines += fmt::format("Address={}\n", one.address);
        if (!one.router.empty()) lines += fmt::format("Gateway={}\n", one.router);
    }
    for (const auto& [interface, lines] : configured)
        files.push_back(network_file(interface, lines));
    files.push_back(
        {"/etc/systemd/network/90-kzones.network", 0644,
         "# Written by kzones: every other interface is configured by DHCP.\n[Match]\nName=eth*\n\n"
         "[Network]\nDHCP=yes\n\n[DHCPv4]\nUseDomains=yes\n"});
    return files;
}

}  // namespace kz::install
