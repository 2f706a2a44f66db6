#include "install/mini_profile.h"

#include <algorithm>

#include "base/text.h"
#include "install/profile_time_zone.h"
#include "os/file.h"

namespace kz::install {
namespace {

constexpr uid_t kFirstUser = 1000;
constexpr std::size_t kMaxAccounts = 64 * 1024;
// Nobody asks a mini zone for the age of a password.
constexpr std::string_view kAges = "19000:0:99999:7:::";

bool is_six(std::string_view address) {
    return address.find(':') != std::string_view::npos;
}

// The interfaces that the profile names are the profile's; of the others the zone's configuration speaks.
std::string network_lines(const Profile& profile, const std::vector<StaticAddress>& configured) {
    std::string lines = "# INTERFACE ADDRESS/PREFIX [ROUTER], or INTERFACE none; others use DHCP.\n";
    for (const StaticAddress& one : configured) {
        if (std::ranges::find(profile.interfaces, one.interface, &ProfileInterface::name) ==
            profile.interfaces.end())
            lines += fmt::format("{} {} {}\n", one.interface, one.address, one.router);
    }
    for (const ProfileInterface& one : profile.interfaces) {
        if (one.addresses.empty() && !one.dhcp4) lines += one.name + " none\n";
        for (const std::string& address : one.addresses) {
            const auto router = std::ranges::find_if(
                one.routers, [&](const std::string& each) { return is_six(each) == is_six(address); });
            lines += fmt::format("{} {} {}\n", one.name, address, router == one.routers.end() ? "" : *router);
        }
    }
    return lines;
}

std::string resolver_lines(const Profile& profile) {
    std::string lines;
    std::vector<std::string> search;
    for (const ProfileInterface& one : profile.interfaces) {
        search.insert(search.end(), one.search.begin(), one.search.end());
        for (const std::string& server : one.name_servers)
            lines += fmt::format("nameserver {}\n", server);
    }
    if (search.empty()) return lines;
    return fmt::format("search {}\n{}", fmt::join(search, " "), lines);
}

// The mini zone's own accounts with those of the profile.
class Accounts {
  public:
    static Result<Accounts> read(const Path& share_dir) {
        const Path folder = share_dir / "guest/mini/rootfs/etc";
        Accounts accounts;
        KZ_TRY(accounts.passwd_, read_file(folder / "passwd", kMaxAccounts));
        KZ_TRY(accounts.group_, read_file(folder / "group", kMaxAccounts));
        return accounts;
    }

    void add(const ProfileUser& user, MiniIdentity& identity) {
        const std::string hash = user.password_hash.empty() ? "*" : user.password_hash;
        if (user.name == "root") {
            root_hash_ = hash;
            return;
        }
        const uid_t uid = next_++;
        const std::string home = "/home/" + user.name;
        passwd_ += fmt::format("{}:x:{}:{}:{}:{}:{}\n", user.name, uid, uid, user.full_name, home,
                               user.shell.empty() ? "/bin/bash" : user.shell);
        group_ += fmt::format("{}:x:{}:\n", user.name, uid);
        users_shadow_ += fmt::format("{}:{}:{}\n", user.name, hash, kAges);
        identity.homes.push_back({home, uid});
    }

    void write(std::vector<ManifestFile>& files) const {
        files.push_back({"/etc/passwd", 0644, passwd_});
        files.push_back({"/etc/group", 0644, group_});
        files.push_back(
            {"/etc/shadow", 0600,
             fmt::format("root:{}:{}\nnobody:*:{}\n{}", root_hash_, kAges, kAges, users_shadow_)});
    }

    bool has(const std::string& name) const {
        const std::vector<std::string> lines = split(passwd_, '\n');
        return std::ranges::any_of(lines,
                                   [&](const std::string& line) { return line.starts_with(name + ":"); });
    }

  private:
    std::string passwd_;
    std::string group_;
    std::string users_shadow_;
    std::string root_hash_ = "*";
    uid_t next_ = kFirstUser;
};

Result<void> add_users(const InstallRequest& request, MiniIdentity& identity) {
    if (request.profile.users.empty()) return {};
    KZ_TRY(Accounts accounts, Accounts::read(request.share_dir));
    for (const ProfileUser& user : request.profile.users) {
        if (user.name != "root" && accounts.has(user.name))
            return fail(Errc::invalid_argument, "a mini zone has an account '{}' of its own", user.name);
        accounts.add(user, identity);
    }
    accounts.write(identity.files);
    return {};
}

Result<void> add_time_zone(const Profile& profile, MiniIdentity& identity) {
    if (profile.time_zone.empty()) return {};
    KZ_TRY(const std::string zone, read_time_zone(profile.time_zone));
    if (zone.empty()) return {};
    identity.files.push_back({"/etc/localtime", 0644, zone});
    identity.files.push_back({"/etc/timezone", 0644, profile.time_zone + "\n"});
    return {};
}

std::vector<std::string> what_is_left_out(const Profile& profile) {
    const auto any_user = [&](auto member) {
        return std::ranges::any_of(profile.users,
                                   [&](const ProfileUser& user) { return !(user.*member).empty(); });
    };
    const bool dhcp6 = std::ranges::any_of(profile.interfaces, &ProfileInterface::dhcp6);
    const bool locale = !profile.locale.empty() && !needs_no_definition(profile.locale);
    std::vector<std::string> left_out;
    if (locale) left_out.push_back("the locale");
    if (!profile.keyboard.layout.empty()) left_out.push_back("the keyboard");
    if (any_user(&ProfileUser::ssh_keys)) left_out.push_back("ssh keys");
    if (any_user(&ProfileUser::sudo)) left_out.push_back("sudo");
    if (dhcp6) left_out.push_back("DHCP for IPv6");
    return left_out;
}

}  // namespace

Result<MiniIdentity> plan_identity(const InstallRequest& request) {
    const Profile& profile = request.profile;
    MiniIdentity identity;
    identity.host_name = request.host_name();
    identity.network = network_lines(profile, request.network);
    KZ_CHECK(add_users(request, identity));
    KZ_CHECK(add_time_zone(profile, identity));
    if (const std::string lines = resolver_lines(profile); !lines.empty())
        identity.files.push_back({"/etc/resolv.conf", 0644, lines});
    identity.left_out = what_is_left_out(profile);
    return identity;
}

}  // namespace kz::install
