#include "install/debian_identity.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.h"
#include "install/contained.h"
#include "install/debian_users.h"
#include "install/profile_time_zone.h"
#include "os/file.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxSupported = 1024 * 1024;
constexpr const char* kNoLocale = "C.UTF-8";

// What is behind the dot, without hyphens and in small letters.
std::string plain_codeset(std::string_view locale) {
    std::string plain(locale);
    const std::size_t dot = plain.find('.');
    if (dot == std::string::npos) return plain;
    std::string codeset = plain.substr(dot);
    std::erase(codeset, '-');
    std::ranges::transform(codeset, codeset.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return plain.substr(0, dot) + codeset;
}

void add_names(TreeBuilder& files, const std::string& name) {
    const std::string label = name.substr(0, name.find('.'));
    files.file("etc/hostname", 0644, name + "\n");
    files.file(
        "etc/hosts", 0644,
        fmt::format("127.0.0.1\tlocalhost\n127.0.1.1\t{}{}\n::1\tlocalhost ip6-localhost ip6-loopback\n",
                    name, label == name ? "" : " " + label));
}

void add_time_zone(TreeBuilder& files, const std::string& zone) {
    files.link("/usr/share/zoneinfo/" + zone, "etc/localtime");
    files.file("etc/timezone", 0644, zone + "\n");
}

void add_keyboard(TreeBuilder& files, const ProfileKeyboard& keyboard) {
    files.file("etc/default/keyboard", 0644,
               fmt::format("XKBMODEL=\"{}\"\nXKBLAYOUT=\"{}\"\nXKBVARIANT=\"{}\"\nXKBOPTIONS=\"{}\"\n"
                           "BACKSPACE=\"guess\"\n",
                           keyboard.model.empty() ? "pc105" : keyboard.model, keyboard.layout,
                           keyboard.variant, keyboard.options));
}

void add_name_servers(TreeBuilder& files, const Profile& profile) {
    std::string lines;
    for (const ProfileInterface& one : profile.interfaces) {
        for (const std::string& server : one.name_servers)
            lines += fmt::format("nameserver {}\n", server);
    }
    if (!lines.empty()) files.file("etc/resolv.conf", 0644, lines);
}

// A helper that kzones brings for the inside of zones lies in this folder, where it was built.
void add_agent(TreeBuilder& files, const Path& share) {
    const Path agent = share / "guest/agent/kz-agent";
    const Path unit = share / "guest/agent/kz-agent.service";
    if (!std::filesystem::exists(agent) || !std::filesystem::exists(unit)) return;
    files.copy(agent, "usr/sbin/kz-agent", 0755);
    files.copy(unit, "etc/systemd/system/kz-agent.service", 0644);
    files.link("../kz-agent.service", "etc/systemd/system/multi-user.target.wants/kz-agent.service");
}

Result<void> stage_files(const InstallRequest& request, const RootFiles& root, const Path& tree,
                         const Path& folder) {
    TreeBuilder files(folder);
    files.directory("", 0755);
    add_place(request, std::filesystem::exists(tree / "usr/lib/systemd/systemd-resolved"), files);
    files.file("etc/fstab", 0644, fmt::format("UUID={} / ext4 errors=remount-ro 0 1\n", root.root_uuid));
    files.file("boot/grub/grub.cfg", 0644, root.grub_config);
    add_agent(files, request.share_dir);
    return std::move(files).outcome();
}

Result<void> set_locale(const std::string& wanted, const Activity& activity, const Path& tree,
                        const Path& work) {
    if (wanted.empty()) return {};
    const Result<std::string> supported = read_file(tree / "usr/share/i18n/SUPPORTED", kMaxSupported);
    std::string line = supported ? find_locale(*supported, wanted) : "";
    if (line.empty() && !needs_no_definition(wanted))
        activity.say("The new system does not have the locale {}; it gets {}", wanted, kNoLocale);
    const std::string name = needs_no_definition(wanted) ? wanted
                             : line.empty()              ? kNoLocale
                                                         : line.substr(0, line.find(' '));
    const Path folder = work / "locale";
    TreeBuilder files(folder);
    files.directory("", 0755);
    files.file("etc/default/locale", 0644, locale_file(name));
    if (!line.empty() && !needs_no_definition(wanted)) files.file("etc/locale.gen", 0644, line + "\n");
    KZ_CHECK(std::move(files).outcome());
    KZ_CHECK(lay_over(folder, tree, activity));
    if (!line.empty() && !needs_no_definition(wanted)) KZ_CHECK(run_in_tree(tree, {"locale-gen"}, activity));
    return {};
}

}  // namespace

void add_place(const InstallRequest& request, bool has_resolved, TreeBuilder& files) {
    const Profile& profile = request.profile;
    add_names(files, request.host_name());
    if (!profile.time_zone.empty()) add_time_zone(files, profile.time_zone);
    if (!profile.keyboard.layout.empty()) add_keyboard(files, profile.keyboard);
    // Otherwise nobody else tells the resolver.
    if (!has_resolved) add_name_servers(files, profile);
    for (const ManifestFile& file : network_files(request))
        files.file(file.path.relative_path(), file.mode, file.content);
}

std::string locale_file(std::string_view locale) {
    return fmt::format("LANG={}\n", locale);
}

std::string find_locale(std::string_view supported, std::string_view locale) {
    for (const std::string& line : split(supported, '\n')) {
        if (plain_codeset(line.substr(0, line.find(' '))) == plain_codeset(locale)) return line;
    }
    return {};
}

Result<void> apply_identity(const InstallRequest& request, const RootFiles& root, const Activity& activity,
                            const Path& tree, const Path& work) {
    const Path folder = work / "zone";
    KZ_CHECK(stage_files(request, root, tree, folder));
    KZ_CHECK(lay_over(folder, tree, activity));
    KZ_CHECK(set_locale(request.profile.locale, activity, tree, work));
    KZ_CHECK(add_users(request.profile.users, activity, tree, work));
    if (std::filesystem::exists(tree / "usr/bin/ssh-keygen"))
        KZ_CHECK(run_in_tree(tree, {"ssh-keygen", "-q", "-A"}, activity));
    // Its certificate is for the name of the host that it runs on: there, the namespace's own.
    constexpr const char* kMakeCertificate =
        "hostname \"$0\" && exec make-ssl-cert generate-default-snakeoil --force-overwrite";
    if (std::filesystem::exists(tree / "usr/sbin/make-ssl-cert"))
        KZ_CHECK(run_in_tree(tree, {"/bin/sh", "-c", kMakeCertificate, request.host_name()}, activity));
    return {};
}

}  // namespace kz::install
