#include "cli/sysconfig_options.h"

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "install/profile_checks.h"
#include "install/profile_password.h"
#include "install/profile_time_zone.h"
#include "os/file.h"
#include "os/io.h"

namespace kz::cli {

const char* const kCreateProfileUsage =
    "create-profile [-f] [-o DIR|FILE.yaml] [-l logfile]\n"
    "\t    [--hostname NAME] [--timezone REGION/CITY] [--locale LOCALE] [--keyboard LAYOUT[:VARIANT]]\n"
    "\t    [[--interface ethN] --network auto|none|static [--address ADDRESS/PREFIX] [--router ADDRESS]\n"
    "\t    [--dns ADDRESS] [--search DOMAIN]] ...\n"
    "\t    [--root-password-hash HASH | --root-password-file FILE]\n"
    "\t    [--user NAME [--full-name TEXT] [--ssh-key FILE]\n"
    "\t    [--user-password-hash HASH | --user-password-file FILE]]\n"
    "\tsysconfig create-profile --check FILE|DIR";

namespace {

using install::ProfileInterface;
using install::ProfileUser;

constexpr std::size_t kMaxKeyFile = 64 * 1024;
constexpr std::size_t kMaxPasswordFile = 1024;

// What the options say until the last of them has been read.
struct Draft {
    CreateProfileOptions options;
    ProfileUser root{"root", {}, {}, {}, {}, {}};
    ProfileUser user;
    std::string network;  // of the interface that is spoken of
};

using Take = Result<void> (*)(Draft& draft, const std::string& text);

// The first line of the file, or of standard input.
Result<std::string> hash_of_file(const std::string& file) {
    Secret content = Secret::of_size(kMaxPasswordFile);
    KZ_TRY(const UniqueFd fd, file == "-" ? Result<UniqueFd>(UniqueFd(::dup(STDIN_FILENO)))
                                          : open_file(file, O_RDONLY | O_CLOEXEC));
    std::size_t size = 0;
    while (size < content.size()) {
        KZ_TRY(const std::size_t got,
               read_some(fd.get(), content.mutable_view().subspan(size), Deadline::never()));
        if (got == 0) break;
        size += got;
    }
    const ByteView view = content.view().first(size);
    const auto end = std::ranges::find(view, Byte{'\n'});
    KZ_TRY_CONTEXT(std::string hash, install::hash_password(Secret(Bytes(view.begin(), end))), file);
    return hash;
}

Result<void> take_checked(std::string& out, const std::string& text,
                          Result<void> (*check)(const std::string&)) {
    KZ_CHECK(check(text));
    out = text;
    return {};
}

Result<void> take_hash(ProfileUser& user, const std::string& text, bool is_file) {
    if (!user.password_hash.empty()) return fail(Errc::invalid_argument, "there is a password already");
    if (!is_file) return take_checked(user.password_hash, text, install::check_password_hash);
    KZ_TRY(user.password_hash, hash_of_file(text));
    return {};
}

Result<void> take_keyboard(Draft& draft, const std::string& text) {
    const std::size_t colon = text.find(':');
    install::ProfileKeyboard& keyboard = draft.options.profile.keyboard;
    KZ_CHECK(take_checked(keyboard.layout, text.substr(0, colon), install::check_keyboard));
    if (colon == std::string::npos) return {};
    return take_checked(keyboard.variant, text.substr(colon + 1), install::check_keyboard);
}

Result<void> take_time_zone(Draft& draft, const std::string& text) {
    KZ_CHECK(install::read_time_zone(text));
    draft.options.profile.time_zone = text;
    return {};
}

ProfileInterface& current_interface(Draft& draft) {
    std::vector<ProfileInterface>& all = draft.options.profile.interfaces;
    if (all.empty()) {
        ProfileInterface first;
        first.name = "eth0";
        all.push_back(std::move(first));
    }
    return all.back();
}

// What the options said of one interface is complete: another begins, or there are no more.
Result<void> finish_interface(Draft& draft) {
    if (draft.options.profile.interfaces.empty()) return {};
    ProfileInterface& one = draft.options.profile.interfaces.back();
    if (draft.network.empty() && one.addresses.empty())
        return fail(Errc::invalid_argument, "{} needs --network auto, none, or static with --address",
                    one.name);
    const bool is_static = draft.network.empty() || draft.network == "static";
    if (is_static && one.addresses.empty())
        return fail(Errc::invalid_argument, "--network static needs --address");
    if (!is_static && !(one.addresses.empty() && one.routers.empty()))
        return fail(Errc::invalid_argument, "--address and --router need --network static, not {}",
                    draft.network);
    one.dhcp4 = draft.network == "auto";
    draft.network.clear();
    return {};
}

Result<void> take_interface(Draft& draft, const std::string& text) {
    KZ_CHECK(finish_interface(draft));
    KZ_CHECK(install::check_interface(text));
    std::vector<ProfileInterface>& all = draft.options.profile.interfaces;
    if (std::ranges::find(all, text, &ProfileInterface::name) != all.end())
        return fail(Errc::invalid_argument, "{} is given twice", text);
    ProfileInterface one;
    one.name = text;
    all.push_back(std::move(one));
    return {};
}

Result<void> take_network(Draft& draft, const std::string& text) {
    if (text != "auto" && text != "none" && text != "static")
        return fail(Errc::invalid_argument, "'{}' is none of auto, none, static", text);
    current_interface(draft);
    draft.network = text;
    return {};
}

Result<void> take_into(std::vector<std::string>& list, const std::string& text,
                       Result<void> (*check)(const std::string&)) {
    KZ_CHECK(check(text));
    list.push_back(text);
    return {};
}

Result<void> take_router(Draft& draft, const std::string& text) {
    std::vector<std::string>& routers = current_interface(draft).routers;
    const bool six = text.find(':') != std::string::npos;
    if (std::ranges::any_of(routers,
                            [&](const auto& one) { return (one.find(':') != std::string::npos) == six; }))
        return fail(Errc::invalid_argument, "an interface has one router of a family");
    return take_into(routers, text, install::check_address);
}

// A file as ssh-keygen writes it, or an authorized_keys.
Result<void> take_ssh_keys(Draft& draft, const std::string& file) {
    KZ_TRY(const std::string text, read_file(file, kMaxKeyFile));
    std::size_t line_number = 0;
    bool any = false;
    for (const std::string& line : split(text, '\n')) {
        ++line_number;
        const std::string key(trim(line));
        if (key.empty() || key.starts_with('#')) continue;
        KZ_CHECK_CONTEXT(take_into(draft.user.ssh_keys, key, install::check_ssh_key),
                         fmt::format("{}:{}", file, line_number));
        any = true;
    }
    if (!any) return fail(Errc::invalid_argument, "{} holds no key", file);
    return {};
}

struct Option {
    const char* name;
    Take take;
};

const std::vector<Option>& options_table() {
    using D = Draft;
    using S = const std::string;
    static const std::vector<Option> table{
        {"hostname",
         [](D& d, S& t) { return take_checked(d.options.profile.host_name, t, install::check_host_name); }},
        {"timezone", take_time_zone},
        {"locale",
         [](D& d, S& t) { return take_checked(d.options.profile.locale, t, install::check_locale); }},
        {"keyboard", take_keyboard},
        {"interface", take_interface},
        {"network", take_network},
        {"address",
         [](D& d, S& t) {
             return take_into(current_interface(d).addresses, t, install::check_address_with_prefix);
         }},
        {"router", take_router},
        {"dns",
         [](D& d, S& t) { return take_into(current_interface(d).name_servers, t, install::check_address); }},
        {"search",
         [](D& d, S& t) { return take_into(current_interface(d).search, t, install::check_domain); }},
        {"root-password-hash", [](D& d, S& t) { return take_hash(d.root, t, false); }},
        {"root-password-file", [](D& d, S& t) { return take_hash(d.root, t, true); }},
        {"user", [](D& d, S& t) { return take_checked(d.user.name, t, install::check_user_name); }},
        {"full-name", [](D& d, S& t) { return take_checked(d.user.full_name, t, install::check_full_name); }},
        {"user-password-hash", [](D& d, S& t) { return take_hash(d.user, t, false); }},
        {"user-password-file", [](D& d, S& t) { return take_hash(d.user, t, true); }},
        {"ssh-key", take_ssh_keys},
    };
    return table;
}

constexpr int kCheckOption = 256;
constexpr int kFirstLong = 257;

std::vector<option> getopt_table() {
    std::vector<option> table{{"check", required_argument, nullptr, kCheckOption}};
    int value = kFirstLong;
    for (const Option& one : options_table())
        table.push_back({one.name, required_argument, nullptr, value++});
    table.push_back({});
    return table;
}

Result<void> take_option(Draft& draft, int letter, const std::string& text) {
    switch (letter) {
        case 'f':
            draft.options.replace = true;
            return {};
        case 'o':
            draft.options.output = text;
            return {};
        case 'l':
            draft.options.log = text;
            return {};
        case kCheckOption:
            draft.options.check = text;
            return {};
        default:
            break;
    }
    if (letter < kFirstLong) return fail(Errc::unsupported, "");
    const Option& one = options_table()[static_cast<std::size_t>(letter - kFirstLong)];
    draft.options.answered = true;
    KZ_CHECK_CONTEXT(one.take(draft, text), fmt::format("--{}", one.name));
    return {};
}

Result<void> finish_user(Draft& draft) {
    ProfileUser& user = draft.user;
    const bool described = !user.full_name.empty() || !user.password_hash.empty() || !user.ssh_keys.empty();
    if (user.name.empty() && described)
        return fail(Errc::invalid_argument,
                    "--full-name, --ssh-key and --user-password-... need --user NAME");
    if (user.name == "root") {
        if (!user.full_name.empty() || !user.password_hash.empty())
            return fail(Errc::invalid_argument, "of root, give --ssh-key and --root-password-... only");
        draft.root.ssh_keys = user.ssh_keys;
        user.name.clear();
    }
    draft.options.profile.users.push_back(draft.root);
    if (user.name.empty()) return {};
    finish_user_account(user);
    draft.options.profile.users.push_back(user);
    return {};
}

}  // namespace

void finish_user_account(ProfileUser& user) {
    user.shell = "/bin/bash";
    user.sudo = user.password_hash.empty() ? install::kSudoWithoutPassword : install::kSudoWithPassword;
}

Path CreateProfileOptions::file() const {
    std::error_code error;
    const bool is_file = output.extension() == ".yaml" && !std::filesystem::is_directory(output, error);
    return is_file ? output : output / install::kProfileFileName;
}

Result<CreateProfileOptions> read_create_profile_options(int argc, char** argv) {
    Draft draft;
    const std::vector<option> table = getopt_table();
    ::optind = 1;
    ::opterr = 0;
    for (int letter = ::getopt_long(argc, argv, "+:fo:l:", table.data(), nullptr); letter != -1;
         letter = ::getopt_long(argc, argv, "+:fo:l:", table.data(), nullptr))
        KZ_CHECK(take_option(draft, letter, ::optarg == nullptr ? "" : ::optarg));
    if (::optind != argc) return fail(Errc::unsupported, "");
    KZ_CHECK(finish_interface(draft));
    KZ_CHECK(finish_user(draft));
    if (draft.options.output.extension() == ".xml")
        return fail(Errc::invalid_argument, "-o: a profile is YAML here; give it a name that ends in .yaml");
    return std::move(draft.options);
}

}  // namespace kz::cli
