#include "install/contained.h"

#include "install/tools.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxOverlay = 256 * 1024 * 1024;

// $1 is the tree. Runs in mount and process namespaces of its own.
constexpr const char* kEnterTree =
    "set -e\n"
    "tree=$1\n"
    "shift\n"
    "mount -t proc -o nosuid,nodev,noexec proc \"$tree/proc\"\n"
    "for node in null zero full random urandom; do\n"
    "    [ -e \"$tree/dev/$node\" ] || : >\"$tree/dev/$node\"\n"
    "    mount --bind \"/dev/$node\" \"$tree/dev/$node\"\n"
    "done\n"
    "exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "
    "DEBIAN_FRONTEND=noninteractive chroot \"$tree\" \"$@\"\n";

Result<std::vector<std::string>> in_namespaces(const std::vector<std::string>& further,
                                               std::vector<std::string> command) {
    KZ_TRY(const std::string setpriv, find_tool("setpriv"));
    KZ_TRY(const std::string unshare, find_tool("unshare"));
    std::vector<std::string> argv = {setpriv,   "--pdeathsig",   "KILL",        unshare,
                                     "--mount", "--propagation", "private",     "--pid",
                                     "--fork",  "--kill-child",  "--mount-proc"};
    argv.insert(argv.end(), further.begin(), further.end());
    argv.emplace_back("--");
    argv.insert(argv.end(), std::make_move_iterator(command.begin()), std::make_move_iterator(command.end()));
    return argv;
}

}  // namespace

Result<std::vector<std::string>> contained(std::vector<std::string> command, Network network) {
    if (network == Network::none) return in_namespaces({"--net", "--ipc"}, std::move(command));
    return in_namespaces({}, std::move(command));
}

Result<std::string> run_in_tree(const Path& tree, std::vector<std::string> command, const Activity& activity,
                                std::string standard_input) {
    KZ_CHECK(find_tool("chroot"));
    const std::string name = command.empty() ? "" : command.front();
    std::vector<std::string> inner = {"sh", "-c", kEnterTree, "sh", tree};
    inner.insert(inner.end(), std::make_move_iterator(command.begin()),
                 std::make_move_iterator(command.end()));
    KZ_TRY(std::vector<std::string> argv, in_namespaces({"--net", "--ipc", "--uts"}, std::move(inner)));
    CommandOptions options;
    options.cancel_fd = activity.cancel_fd;
    options.standard_input = std::move(standard_input);
    options.environment.emplace("LC_ALL", "C");
    Result<CommandOutput> output = run_command(std::move(argv), options);
    KZ_CHECK(activity.check());
    if (!output) return std::unexpected(std::move(output).error());
    activity.note(output->standard_error);
    if (output->status == 0) return std::move(output->standard_output);
    const std::string& said = output->standard_error;
    return fail(Errc::io, "'{}' in the new system failed with exit code {}{}{}", name, output->status,
                said.empty() ? "" : ": ", said.substr(0, said.find('\n')));
}

Result<void> lay_over(const Path& overlay, const Path& tree, const Activity& activity) {
    KZ_TRY(const std::string tar, find_tool("tar"));
    CommandOptions options;
    options.output_cap = kMaxOverlay;
    KZ_TRY(
        std::string archive,
        activity.run({tar, "--create", "--file=-", "--numeric-owner", "--directory", overlay, "."}, options));
    KZ_CHECK(run_in_tree(tree,
                         {"tar", "--extract", "--file=-", "--preserve-permissions", "--numeric-owner",
                          "--keep-directory-symlink", "--no-overwrite-dir"},
                         activity, std::move(archive)));
    return {};
}

}  // namespace kz::install
