#include "rad/permissions.h"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "os/file.h"
#include "store/registry.h"

namespace kz::rad {
namespace {

constexpr std::size_t kMaxRolesFile = 1024 * 1024;
constexpr std::size_t kDatabaseBuffer = 64 * 1024;
constexpr int kMaxGroups = 1024;

std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    std::string spaced(line);
    std::ranges::replace(spaced, '\t', ' ');
    for (std::string& word : split(spaced, ' '))
        if (!word.empty()) words.push_back(std::move(word));
    return words;
}

std::vector<std::string> group_names(const std::string& user, gid_t primary) {
    std::vector<gid_t> ids(kMaxGroups);
    int count = kMaxGroups;
    if (::getgrouplist(user.c_str(), primary, ids.data(), &count) < 0) count = kMaxGroups;
    ids.resize(static_cast<std::size_t>(count));
    std::vector<std::string> names;
    std::vector<char> buffer(kDatabaseBuffer);
    for (const gid_t id : ids) {
        group entry{};
        group* found = nullptr;
        if (::getgrgid_r(id, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
            names.emplace_back(found->gr_name);
    }
    return names;
}

}  // namespace

Result<User> look_up_user(const std::string& name) {
    std::vector<char> buffer(kDatabaseBuffer);
    passwd entry{};
    passwd* found = nullptr;
    const int failure = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (failure != 0) return fail_errno(failure, "user database");
    if (found == nullptr) return fail(Errc::not_found, "there is no user of that name");
    return User{.name = found->pw_name,
                .groups = group_names(found->pw_name, found->pw_gid),
                .superuser = found->pw_uid == 0};
}

Result<std::optional<Role>> find_role(std::string_view text, const User& user) {
    std::size_t number = 0;
    std::optional<Role> decided;
    // The whole file is read before a rule counts: what is wrong further down is told too.
    for (const std::string& line : split(text, '\n')) {
        ++number;
        const std::vector<std::string> words = words_of(line);
        if (words.empty() || words.front().starts_with('#')) continue;
        const auto role = words.size() == 3 ? parse_role(words[2]) : std::nullopt;
        const bool is_user = words.front() == "user";
        if (!role || (!is_user && words.front() != "group"))
            return fail(Errc::corrupt, "roles, line {}: not 'user NAME ROLE' or 'group NAME ROLE'", number);
        const bool fits =
            is_user ? words[1] == user.name : std::ranges::find(user.groups, words[1]) != user.groups.end();
        if (fits && !decided) decided = role;
    }
    return decided;
}

Result<std::optional<Role>> Permissions::role_by_file(const User& user) const {
    const Result<std::string> text = read_file(paths_.rad_dir() / "roles", kMaxRolesFile);
    if (!text && text.error().code() == Errc::not_found) return std::nullopt;
    if (!text) return std::unexpected(text.error());
    return find_role(*text, user);
}

Result<std::optional<Role>> Permissions::role_of(const User& user) const {
    if (user.superuser) return Role::full;
    KZ_TRY(const std::optional<Role> role, role_by_file(user));
    if (role) return role;
    return any_delegated(user.name) ? std::optional(Role::delegate) : std::nullopt;
}

bool Permissions::any_delegated(std::string_view user) const {
    const auto registry = store::Registry::open(paths_);
    const auto names =
        registry ? registry->names() : Result<std::vector<std::string>>(std::vector<std::string>());
    return names && std::ranges::any_of(
                        *names, [&](const std::string& zone) { return delegates(zone, user, kAnyAuth); });
}

bool Permissions::delegates(const std::string& zone, std::string_view user, std::string_view auths) const {
    if (user.empty() || auths.empty()) return false;
    const auto registry = store::Registry::open(paths_);
    const auto config = registry ? registry->load_config(zone) : std::unexpected(registry.error());
    if (!config) return false;
    const std::vector<std::string> wanted = split(auths, '|');
    for (const zone::Resource* admin : config->resources("admin")) {
        if (admin->get("user") != user) continue;
        if (auths == kAnyAuth) return true;
        const std::vector<std::string> given = split(admin->get("auths").value_or(""), ',');
        if (std::ranges::find_first_of(given, wanted) != given.end()) return true;
    }
    return false;
}

}  // namespace kz::rad
