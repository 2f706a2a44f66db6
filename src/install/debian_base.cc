#include "install/debian_base.h"

#include <algorithm>

#include "base/text.h"
#include "install/contained.h"
#include "install/debian_users.h"
#include "install/tools.h"
#include "install/tree_builder.h"
#include "os/file.h"

namespace kz::install {
namespace {

// In the tree before the packages come: what their scripts go by. The initial file system holds what a zone's
// machine needs and is made in seconds, also by a slow machine, whenever a kernel is installed.
Result<void> write_early_files(const Path& folder, const Manifest& manifest) {
    TreeBuilder early(folder);
    early.directory("", 0755);
    early.file("etc/kernel-img.conf", 0644, "do_symlinks = yes\n");
    early.file("etc/initramfs-tools/conf.d/kzones", 0644, "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n");
    early.file("etc/initramfs-tools/modules", 0644,
               "virtio_pci\nvirtio_blk\nvirtio_scsi\nvirtio_console\next4\ncrc32c_generic\n");
    if (!manifest.documentation) {
        early.file("etc/dpkg/dpkg.cfg.d/kzones-documentation", 0644,
                   "path-exclude=/usr/share/doc/*\npath-include=/usr/share/doc/*/copyright\n"
                   "path-exclude=/usr/share/man/*\npath-exclude=/usr/share/info/*\n"
                   "path-exclude=/usr/share/locale/*/LC_MESSAGES/*\n");
    }
    return std::move(early).outcome();
}

std::string package_list(const Manifest& manifest) {
    std::vector<std::string> packages = manifest.packages;
    packages.push_back(manifest.kernel);
    return join(packages, ",");
}

// mmdebstrap's own words for what it does are worth showing; the rest is for the log.
Result<void> run_mmdebstrap(std::vector<std::string> argv, const AptSources& sources, const Path& early,
                            const Path& work, const Activity& activity) {
    std::string complaint;
    CommandOptions options;
    options.working_directory = work;
    options.environment = {{"TMPDIR", work}, {"KZ_EARLY", early}};
    if (sources.newest > 0) options.environment.emplace("SOURCE_DATE_EPOCH", std::to_string(sources.newest));
    const auto tell = [&](std::string_view line) {
        if (activity.detail) activity.detail(line);
        const bool news = line.starts_with("I: ") && !line.starts_with("I: main()");
        if (news && activity.progress) activity.progress(line.substr(3));
        // apt's reason is worth more than mmdebstrap's "apt-get update failed".
        if (line.starts_with("E: ") && complaint.empty()) complaint = line.substr(3);
    };
    const Result<void> ran = activity.run_telling(std::move(argv), std::move(options), tell);
    if (ran || ran.error().code() != Errc::io) return ran;
    return fail(Errc::io, "mmdebstrap: {}", complaint.empty() ? ran.error().message() : complaint);
}

Result<void> bootstrap(const Manifest& manifest, const AptSources& sources, const Activity& activity,
                       const Path& tree, const Path& work) {
    KZ_TRY(const std::string mmdebstrap, find_tool("mmdebstrap"));
    const Path early = work / "early";
    KZ_CHECK(write_early_files(early, manifest));
    const Path list = work / "base.list";
    KZ_CHECK(write_file_atomic(list, join(sources.lines, "\n") + "\n", 0600));
    const Path configuration = work / "apt.conf";
    KZ_CHECK(write_file_atomic(configuration, sources.configuration + "APT::Install-Recommends \"false\";\n",
                               0600));
    KZ_TRY(std::vector<std::string> argv,
           contained({mmdebstrap, "--mode=root", "--variant=minbase", "--format=directory",
                      "--aptopt=" + configuration.string(), "--essential-hook=cp -a \"$KZ_EARLY/.\" \"$1\"",
                      "--include=" + package_list(manifest), sources.release, tree, list}));
    return run_mmdebstrap(std::move(argv), sources, early, work, activity);
}

Result<void> add_files(const Manifest& manifest, const Activity& activity, const Path& tree,
                       const Path& work) {
    const Path folder = work / "files";
    TreeBuilder files(folder);
    files.directory("", 0755);
    files.link("/usr/share/zoneinfo/Etc/UTC", "etc/localtime");
    for (const ManifestFile& file : manifest.files)
        files.file(file.path.relative_path(), file.mode, file.content);
    KZ_CHECK(std::move(files).outcome());
    return lay_over(folder, tree, activity);
}

Result<void> run_commands(const Manifest& manifest, const Activity& activity, const Path& tree) {
    for (const std::string& command : manifest.commands) {
        activity.say("Running: {}", command.substr(0, command.find('\n')));
        KZ_CHECK_CONTEXT(run_in_tree(tree, {"/bin/sh", "-e", "-c", command}, activity),
                         "command of the manifest");
    }
    return {};
}

// Everything by which two zones could be told to be one.
Result<void> remove_identity(const Path& tree) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(tree / "etc/ssh", error)) {
        if (entry.path().filename().string().starts_with("ssh_host_")) KZ_CHECK(remove_file(entry.path()));
    }
    for (const char* file : {"etc/apt/apt.conf.d/99mmdebstrap", "var/lib/systemd/random-seed", "etc/hostname",
                             "etc/.resolv.conf.systemd-resolved.bak", "var/lib/dbus/machine-id",
                             // Of the package ssl-cert, which many servers use by default.
                             "etc/ssl/private/ssl-cert-snakeoil.key", "etc/ssl/certs/ssl-cert-snakeoil.pem"})
        KZ_CHECK(remove_file(tree / file));
    return write_file_atomic(tree / "etc/machine-id", "", 0444);
}

}  // namespace

Result<void> make_debian_base(const Manifest& manifest, const AptSources& sources, const Activity& activity,
                              const Path& tree, const Path& work) {
    activity.say("Making the base system: Debian {}, manifest '{}'", sources.release, manifest.name);
    KZ_CHECK(bootstrap(manifest, sources, activity, tree, work));
    KZ_CHECK(add_files(manifest, activity, tree, work));
    KZ_CHECK(add_users(manifest.users, activity, tree, work));
    KZ_CHECK(run_in_tree(tree, {"systemctl", "--quiet", "enable", "systemd-networkd.service"}, activity));
    KZ_CHECK(run_commands(manifest, activity, tree));
    return remove_identity(tree);
}

}  // namespace kz::install
