#include "install/debian_users.h"

#include <optional>

#include "base/text.h"
#include "install/contained.h"
#include "install/tree_builder.h"
#include "os/file.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxPasswd = 1024 * 1024;
constexpr std::uint64_t kFirstUser = 1000;
constexpr std::uint64_t kNobody = 65534;

struct Account {
    uid_t uid;
    gid_t gid;
    std::string home;
};

Result<std::optional<Account>> find_account(const Path& tree, const std::string& name) {
    KZ_TRY(const std::string passwd, read_file(tree / "etc/passwd", kMaxPasswd));
    for (const std::string& line : split(passwd, '\n')) {
        const std::vector<std::string> fields = split(line, ':');
        if (fields.size() != 7 || fields[0] != name) continue;
        const auto uid = parse_u64(fields[2]);
        const auto gid = parse_u64(fields[3]);
        if (!uid || !gid) return fail(Errc::corrupt, "the new system's passwd file is not understood");
        return std::optional(Account{static_cast<uid_t>(*uid), static_cast<gid_t>(*gid), fields[5]});
    }
    return std::optional<Account>();
}

Result<void> make_account(const ProfileUser& user, const Activity& activity, const Path& tree) {
    KZ_TRY(const std::optional<Account> account, find_account(tree, user.name));
    if (account && user.name != "root" && (account->uid < kFirstUser || account->uid == kNobody))
        return fail(Errc::invalid_argument, "the new system has an account '{}' of its own", user.name);
    std::vector<std::string> command = {account ? "usermod" : "useradd"};
    if (!account) command.insert(command.end(), {"--create-home", "--user-group"});
    if (!user.full_name.empty()) command.insert(command.end(), {"--comment", user.full_name});
    if (!account || !user.shell.empty())
        command.insert(command.end(), {"--shell", user.shell.empty() ? "/bin/bash" : user.shell});
    command.push_back(user.name);
    if (user.name != "root") KZ_CHECK(run_in_tree(tree, std::move(command), activity));
    // By stdin: other users of the host see arguments.
    KZ_CHECK(run_in_tree(
        tree, {"chpasswd", "--encrypted"}, activity,
        fmt::format("{}:{}\n", user.name, user.password_hash.empty() ? "*" : user.password_hash)));
    return {};
}

Result<void> stage_rights(const ProfileUser& user, const Path& tree, TreeBuilder& files) {
    KZ_TRY(const std::optional<Account> account, find_account(tree, user.name));
    if (!account) return fail(Errc::internal, "the account '{}' was not made", user.name);
    if (!user.sudo.empty())
        files.file("etc/sudoers.d/kzones-" + user.name, 0440, fmt::format("{} {}\n", user.name, user.sudo));
    if (user.ssh_keys.empty()) return {};
    const Path folder = Path(account->home).relative_path() / ".ssh";
    files.owned_directory(folder, 0700, account->uid, account->gid);
    files.owned_file(folder / "authorized_keys", 0600, account->uid, account->gid,
                     join(user.ssh_keys, "\n") + "\n");
    return {};
}

}  // namespace

Result<void> add_users(const std::vector<ProfileUser>& users, const Activity& activity, const Path& tree,
                       const Path& work) {
    if (users.empty()) return {};
    for (const ProfileUser& user : users)
        KZ_CHECK(make_account(user, activity, tree));
    const Path folder = work / "users";
    TreeBuilder files(folder);
    files.directory("", 0755);
    for (const ProfileUser& user : users)
        KZ_CHECK(stage_rights(user, tree, files));
    KZ_CHECK(std::move(files).outcome());
    return lay_over(folder, tree, activity);
}

}  // namespace kz::install
