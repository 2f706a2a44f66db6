#include "install/seed.h"

#include <algorithm>
#include <filesystem>

#include "install/iso9660.h"
#include "install/tools.h"
#include "os/file.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxText = 64 * 1024;
// guest/agent/vendor-data goes by these names.
constexpr const char* kAgentProgram = "kz-agent-gz";
constexpr const char* kAgentUnit = "kz-agent-service";

ProfileInterface configured_interface(const InstallRequest& request, const std::string& name) {
    const auto found = std::ranges::find(request.profile.interfaces, name, &ProfileInterface::name);
    if (found != request.profile.interfaces.end()) return *found;
    ProfileInterface one;
    one.name = name;
    for (const StaticAddress& address : request.network) {
        if (address.interface != name) continue;
        one.addresses.push_back(address.address);
        if (!address.router.empty()) one.routers.push_back(address.router);
    }
    one.dhcp4 = one.addresses.empty();
    return one;
}

std::string list_lines(std::string_view key, const std::vector<std::string>& values, int indent) {
    if (values.empty()) return {};
    std::string lines = fmt::format("{:{}}{}:\n", "", indent, key);
    for (const std::string& value : values)
        lines += fmt::format("{:{}}- \"{}\"\n", "", indent + 2, value);
    return lines;
}

// The values hold nothing that YAML would take for more: profiles and configurations are checked for that.
std::string interface_lines(const ProfileInterface& one, std::string_view hardware_address) {
    std::string lines = fmt::format(
        "  {}:\n    match:\n      macaddress: \"{}\"\n    set-name: {}\n    dhcp4: {}\n    dhcp6: {}\n",
        one.name, hardware_address, one.name, one.dhcp4, one.dhcp6);
    // systemd-networkd would show a DHCP server the machine id, which a clone has from its source in the
    // beginning, and would be given the source's address.
    if (one.dhcp4) lines += "    dhcp-identifier: mac\n";
    lines += list_lines("addresses", one.addresses, 4);
    if (!one.routers.empty()) lines += "    routes:\n";
    for (const std::string& router : one.routers)
        lines += fmt::format("      - to: \"{}\"\n        via: \"{}\"\n",
                             router.find(':') == std::string::npos ? "0.0.0.0/0" : "::/0", router);
    if (!one.name_servers.empty() || !one.search.empty()) lines += "    nameservers:\n";
    return lines + list_lines("addresses", one.name_servers, 6) + list_lines("search", one.search, 6);
}

// cloud-init gives a password to accounts that it makes; root is there already.
std::string root_password(const Profile& profile) {
    const auto root = std::ranges::find(profile.users, "root", &ProfileUser::name);
    if (root == profile.users.end() || root->password_hash.empty()) return {};
    return fmt::format(
        "chpasswd:\n  expire: false\n  users:\n    - name: root\n      type: hash\n      password: \"{}\"\n",
        root->password_hash);
}

// Debian's locale-gen, which cloud-init runs with a locale's name, makes what is in this file and nothing
// else.
std::string locale_command(const std::string& locale) {
    return fmt::format(
        "test ! -f /etc/locale.gen || grep -q '^{0} ' /etc/locale.gen || grep -s '^{0} ' "
        "/usr/share/i18n/SUPPORTED >>/etc/locale.gen || true",
        locale);
}

// What has to be so before cloud-init's modules run. Once for each instance, each under a name of its own.
std::string early_commands(const Profile& profile, bool new_machine_id) {
    std::string lines;
    const auto add = [&](std::string_view name, std::string_view command) {
        lines += fmt::format("  - [cloud-init-per, instance, {}, sh, -c, \"{}\"]\n", name, command);
    };
    if (new_machine_id) add("kzones-machine-id", "rm -f /etc/machine-id && systemd-machine-id-setup");
    if (!profile.locale.empty()) add("kzones-locale", locale_command(profile.locale));
    return lines.empty() ? lines : "bootcmd:\n" + lines;
}

}  // namespace

Seed plan_seed(const InstallRequest& request, std::string_view instance_id,
               const std::vector<std::string>& hardware_addresses, bool new_machine_id) {
    Profile profile = request.profile;
    profile.host_name = request.host_name();
    profile.interfaces.clear();
    Seed seed;
    seed.user_data =
        render_profile(profile) + root_password(profile) + early_commands(profile, new_machine_id);
    seed.meta_data =
        fmt::format("instance-id: \"{}\"\nlocal-hostname: \"{}\"\n", instance_id, profile.host_name);
    seed.network_config = "version: 2\nethernets:";
    seed.network_config += hardware_addresses.empty() ? " {}\n" : "\n";
    for (std::size_t i = 0; i < hardware_addresses.size(); ++i)
        seed.network_config +=
            interface_lines(configured_interface(request, fmt::format("eth{}", i)), hardware_addresses[i]);
    return seed;
}

Result<std::optional<SeedAgent>> load_seed_agent(const Path& share, const Activity& activity) {
    const Path folder = share / "guest/agent";
    for (const char* file : {"kz-agent", "kz-agent.service", "vendor-data"}) {
        if (std::filesystem::exists(folder / file)) continue;
        activity.say("This host has no {} for the zone; zlogin will reach its console only", file);
        return std::nullopt;
    }
    SeedAgent agent;
    KZ_TRY(agent.vendor_data, read_file(folder / "vendor-data", kMaxText));
    KZ_TRY(agent.unit, read_file(folder / "kz-agent.service", kMaxText));
    KZ_TRY(const std::string gzip, find_tool("gzip"));
    KZ_TRY(agent.packed_program, activity.run({gzip, "-9", "-n", "-c", folder / "kz-agent"}));
    return agent;
}

Result<Bytes> make_seed_image(const Seed& seed) {
    std::vector<IsoFile> files = {{"meta-data", seed.meta_data},
                                  {"network-config", seed.network_config},
                                  {"user-data", seed.user_data}};
    if (seed.agent) {
        files.push_back({"vendor-data", seed.agent->vendor_data});
        files.push_back({kAgentUnit, seed.agent->unit});
        files.push_back({kAgentProgram, seed.agent->packed_program});
    }
    return make_iso9660(kSeedLabel, files);
}

bool seed_has_agent(ByteView image) {
    return iso9660_has(image, kAgentProgram);
}

}  // namespace kz::install
