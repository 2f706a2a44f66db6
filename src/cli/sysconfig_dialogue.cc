#include "cli/sysconfig_dialogue.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <strings.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "base/text.h"
#include "cli/sysconfig_options.h"
#include "install/profile_checks.h"
#include "install/profile_password.h"
#include "install/profile_time_zone.h"
#include "os/file.h"
#include "os/io.h"

namespace kz::cli {
namespace {

using install::Profile;
using Fields = std::vector<SysconfigField>;
using Move = SysconfigMove;

constexpr const char* kAutomatic = "Automatically";
constexpr const char* kManual = "Manually";
constexpr const char* kNoNetwork = "No network";
constexpr const char* kAsConfigured = "As the zone's configuration says";

void wipe(std::string& text) {
    ::explicit_bzero(text.data(), text.size());
    text.clear();
}

// The words of a list that a field holds.
std::vector<std::string> words(const std::string& text) {
    std::vector<std::string> list;
    for (std::string& word : split(text, ' ')) {
        if (!word.empty()) list.push_back(std::move(word));
    }
    return list;
}

auto each_word(Result<void> (*check)(const std::string&)) {
    return [check](const std::string& text) -> Result<void> {
        for (const std::string& word : words(text))
            KZ_CHECK(check(word));
        return {};
    };
}

Result<void> same_twice(const SysconfigField& first, const SysconfigField& second) {
    if (first.value == second.value) return {};
    return fail(Errc::invalid_argument, "the passwords are not the same");
}

// Takes the password out of both fields. An empty one leaves `hash` as it is, and so does leaving the page by
// another way than forward, where nobody has held the fields against each other.
Result<void> take_password(Move move, SysconfigField& first, SysconfigField& second, std::string& hash) {
    const Secret password(as_bytes(first.value));
    wipe(first.value);
    wipe(second.value);
    if (move != Move::next || password.empty()) return {};
    KZ_TRY(hash, install::hash_password(password));
    return {};
}

// "Europe/Berlin" by what stands before and after the first slash; what has none is its own region.
std::map<std::string, std::vector<std::string>> by_region(const std::vector<std::string>& zones) {
    std::map<std::string, std::vector<std::string>> regions;
    for (const std::string& zone : zones) {
        const std::size_t slash = zone.find('/');
        std::vector<std::string>& locations = regions[zone.substr(0, slash)];
        if (slash != std::string::npos) locations.push_back(zone.substr(slash + 1));
    }
    return regions;
}

// The host's own zone, where its /etc/localtime says it.
std::string host_time_zone() {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink("/etc/localtime", error).string();
    const std::string marker = "zoneinfo/";
    const std::size_t at = target.find(marker);
    return error || at == std::string::npos ? "UTC" : target.substr(at + marker.size());
}

std::string host_locale() {
    const char* lang = std::getenv("LANG");
    return lang != nullptr && install::check_locale(lang) ? lang : "C.UTF-8";
}

class Dialogue {
  public:
    Dialogue(SysconfigScreen& screen, const SysconfigNote& note, std::vector<std::string> zones)
        : screen_(screen), note_(note), regions_(by_region(zones)) {
        const std::string zone = host_time_zone();
        region_ = zone.substr(0, zone.find('/'));
        if (!regions_.contains(region_)) region_ = "UTC";
        if (zone.find('/') != std::string::npos) location_ = zone.substr(zone.find('/') + 1);
        locale_ = host_locale();
    }

    Result<Profile> run();

  private:
    struct Step {
        Result<Move> (Dialogue::*ask)();
        bool (Dialogue::*wanted)() const;
    };
    bool always() const { return true; }
    bool is_manual() const { return network_ == kManual; }
    bool has_locations() const { return !regions_.at(region_).empty(); }

    Result<Move> ask_welcome();
    Result<Move> ask_name();
    Result<Move> ask_network();
    Result<Move> ask_addresses();
    Result<Move> ask_region();
    Result<Move> ask_location();
    Result<Move> ask_locale();
    Result<Move> ask_keyboard();
    Result<Move> ask_root();
    Result<Move> ask_user();
    Result<Move> ask_summary();
    Result<bool> is_sure_to_quit();
    Profile profile() const;
    std::vector<std::string> summary() const;
    std::string time_zone() const { return has_locations() ? region_ + "/" + location_ : region_; }

    SysconfigScreen& screen_;
    const SysconfigNote& note_;
    std::map<std::string, std::vector<std::string>> regions_;
    std::string host_name_;
    std::string network_ = kAsConfigured;
    std::string address_;
    std::string router_;
    std::string name_servers_;
    std::string search_;
    std::string region_;
    std::string location_;
    std::string locale_;
    std::string keyboard_ = "us";
    std::string root_hash_;
    install::ProfileUser user_;
};

Result<Move> Dialogue::ask_welcome() {
    SysconfigPage page{"System Configuration Tool",
                       {"This tool makes a profile for a new zone: what it is called, how it is reached, and "
                        "who may log in. "
                        "'zoneadm install -c' applies it.",
                        "Nothing is written before the last page."},
                       "Every page has a help of its own. Answers stay when you go back.",
                       {},
                       {}};
    return screen_.show(page);
}

Result<Move> Dialogue::ask_name() {
    SysconfigPage page{
        "Computer Name",
        {"Enter a name that tells this computer from others on the network. Without one it is "
         "called as the zone is."},
        "Letters, digits and hyphens; labels of a domain are divided by dots. 64 characters at "
        "most.",
        {{"Computer Name", host_name_, {}, false, install::check_host_name, true}},
        {}};
    KZ_TRY(const Move move, screen_.show(page));
    host_name_ = page.fields[0].value;
    return move;
}

Result<Move> Dialogue::ask_network() {
    SysconfigPage page{
        "Network",
        {"How does the zone's first network interface (eth0) get its address?"},
        "'As the zone's configuration says' is the anet resource of zonecfg: its allowed-address, or else an "
        "automatic address. 'Automatically' asks a DHCP server. 'Manually' asks you on the next page.",
        {{"Configure the network", network_, {kAsConfigured, kAutomatic, kManual, kNoNetwork}}},
        {}};
    KZ_TRY(const Move move, screen_.show(page));
    network_ = page.fields[0].value;
    return move;
}

Result<Move> Dialogue::ask_addresses() {
    SysconfigPage page{
        "Manual Network Configuration",
        {"Enter the addresses of eth0."},
        "An address has its prefix behind it: 192.0.2.5/24, 2001:db8::5/64. Router, DNS servers and search "
        "domains may be left out; several servers or domains are divided by blanks.",
        {{"IP Address", address_, {}, false, install::check_address_with_prefix, false},
         {"Router", router_, {}, false, install::check_address, true},
         {"DNS Servers", name_servers_, {}, false, each_word(install::check_address), true},
         {"Search Domains", search_, {}, false, each_word(install::check_domain), true}},
        {}};
    KZ_TRY(const Move move, screen_.show(page));
    address_ = page.fields[0].value;
    router_ = page.fields[1].value;
    name_servers_ = page.fields[2].value;
    search_ = page.fields[3].value;
    return move;
}

Result<Move> Dialogue::ask_region() {
    std::vector<std::string> names;
    for (const auto& [name, locations] : regions_)
        names.push_back(name);
    SysconfigPage page{"Time Zone: Regions",
                       {"Select the region that has the zone's time zone."},
                       "UTC is a region of its own: a time zone without summer time, fit for servers.",
                       {{"Regions", region_, names}},
                       {}};
    KZ_TRY(const Move move, screen_.show(page));
    region_ = page.fields[0].value;
    return move;
}

Result<Move> Dialogue::ask_location() {
    const std::vector<std::string>& locations = regions_.at(region_);
    if (std::ranges::find(locations, location_) == locations.end()) location_ = locations.front();
    SysconfigPage page{"Time Zone: Locations",
                       {fmt::format("Select the location in {} that has the zone's time.", region_)},
                       "Take the largest city that always has the same time as the zone.",
                       {{"Locations", location_, locations}},
                       {}};
    KZ_TRY(const Move move, screen_.show(page));
    location_ = page.fields[0].value;
    return move;
}

Result<Move> Dialogue::ask_locale() {
    SysconfigPage page{"Locale: Language and Territory",
                       {"Enter the locale: the language, the territory and the encoding of its text."},
                       "For example en_US.UTF-8, de_DE.UTF-8, ja_JP.UTF-8; C.UTF-8 is English without a "
                       "territory, and there everywhere.",
                       {{"Locale", locale_, {}, false, install::check_locale, false}},
                       {}};
    KZ_TRY(const Move move, screen_.show(page));
    locale_ = page.fields[0].value;
    return move;
}

Result<Move> Dialogue::ask_keyboard() {
    SysconfigPage page{"Keyboard",
                       {"Enter the layout of the keyboard. It is that of a graphical console; the console of "
                        "zlogin has the keyboard of its user."},
                       "As of keyboard(5): us, gb, de, fr, es, ru, jp... several are divided by commas.",
                       {{"Keyboard", keyboard_, {}, false, install::check_keyboard, false}},
                       {}};
    KZ_TRY(const Move move, screen_.show(page));
    keyboard_ = page.fields[0].value;
    return move;
}

Result<Move> Dialogue::ask_root() {
    SysconfigPage page{
        "System Root Password",
        {root_hash_.empty() ? "Enter a password for root. Without one, root is locked: only "
                              "zlogin, on the zone's host, enters as root."
                            : "Root has a password. Leave both empty to keep it."},
        "The profile holds the password's hash only. What you type is not shown.",
        {{"Root password", "", {}, true, {}, true}, {"Confirm password", "", {}, true, {}, true}},
        [](const Fields& fields) { return same_twice(fields[0], fields[1]); }};
    KZ_TRY(const Move move, screen_.show(page));
    KZ_CHECK(take_password(move, page.fields[0], page.fields[1], root_hash_));
    return move;
}

Result<void> check_user_page(const Fields& fields, bool has_password) {
    KZ_CHECK(same_twice(fields[2], fields[3]));
    const bool described = !fields[0].value.empty() || !fields[2].value.empty() || !fields[4].value.empty();
    const std::string& name = fields[1].value;
    if (name.empty() && described) return fail(Errc::invalid_argument, "a user needs a user name");
    if (name == "root") return fail(Errc::invalid_argument, "root has a page of its own");
    if (!name.empty() && fields[2].value.empty() && fields[4].value.empty() && !has_password)
        return fail(Errc::invalid_argument, "a user needs a password or an ssh key to log in");
    return {};
}

Result<Move> Dialogue::ask_user() {
    const bool has_password = !user_.password_hash.empty();
    const std::string key = user_.ssh_keys.empty() ? "" : user_.ssh_keys.front();
    SysconfigPage page{"User Account",
                       {"Create an account for an administrator, or leave all empty.",
                        has_password ? "The user has a password. Leave both empty to keep it." : ""},
                       "The user may become root by sudo. The ssh key is the text of a public key, as in "
                       "~/.ssh/id_ed25519.pub; "
                       "with a key the user needs no password.",
                       {{"Your real name", user_.full_name, {}, false, install::check_full_name, true},
                        {"Username", user_.name, {}, false, install::check_user_name, true},
                        {"User password", "", {}, true, {}, true},
                        {"Confirm password", "", {}, true, {}, true},
                        {"SSH public key", key, {}, false, install::check_ssh_key, true}},
                       {}};
    page.check = [&](const Fields& fields) { return check_user_page(fields, has_password); };
    KZ_TRY(const Move move, screen_.show(page));
    user_.full_name = page.fields[0].value;
    user_.name = page.fields[1].value;
    KZ_CHECK(take_password(move, page.fields[2], page.fields[3], user_.password_hash));
    user_.ssh_keys = page.fields[4].value.empty() ? std::vector<std::string>{}
                                                  : std::vector<std::string>{page.fields[4].value};
    return move;
}

std::vector<std::string> Dialogue::summary() const {
    std::vector<std::string> lines{
        fmt::format("Computer name: {}", host_name_.empty() ? "that of the zone" : host_name_),
        fmt::format("Network: {}", is_manual() ? address_ : network_),
    };
    if (is_manual() && !router_.empty()) lines.push_back("Router: " + router_);
    if (is_manual() && !name_servers_.empty()) lines.push_back("DNS servers: " + name_servers_);
    lines.push_back("Time zone: " + time_zone());
    lines.push_back("Locale: " + locale_);
    lines.push_back("Keyboard: " + keyboard_);
    lines.push_back(fmt::format("Root: {}", root_hash_.empty() ? "locked" : "with a password"));
    if (!user_.name.empty())
        lines.push_back(fmt::format("User: {}, {}{}{}", user_.name,
                                    user_.password_hash.empty() ? "without a password" : "with a password",
                                    user_.ssh_keys.empty() ? "" : ", with an ssh key",
                                    user_.full_name.empty() ? "" : ", " + user_.full_name));
    return lines;
}

Result<Move> Dialogue::ask_summary() {
    SysconfigPage page{"System Configuration Summary",
                       summary(),
                       "Going on writes the profile. Going back changes it.",
                       {},
                       {},
                       "Apply"};
    return screen_.show(page);
}

Result<bool> Dialogue::is_sure_to_quit() {
    SysconfigPage page{"Confirm Quit",
                       {"Do you want to quit the System Configuration Tool? No profile is written then."},
                       "Going on takes the answer.",
                       {{"Quit", "No", {"No", "Yes"}}},
                       {}};
    KZ_TRY(const Move move, screen_.show(page));
    return move == Move::quit || (move == Move::next && page.fields[0].value == "Yes");
}

Profile Dialogue::profile() const {
    Profile profile;
    profile.host_name = host_name_;
    profile.time_zone = time_zone();
    profile.locale = locale_;
    profile.keyboard.layout = keyboard_;
    if (network_ != kAsConfigured) {
        install::ProfileInterface one;
        one.name = "eth0";
        one.dhcp4 = network_ == kAutomatic;
        if (is_manual()) {
            one.addresses = {address_};
            one.routers = words(router_);
            one.name_servers = words(name_servers_);
            one.search = words(search_);
        }
        profile.interfaces.push_back(std::move(one));
    }
    install::ProfileUser root;
    root.name = "root";
    root.password_hash = root_hash_;
    profile.users.push_back(std::move(root));
    if (user_.name.empty()) return profile;
    profile.users.push_back(user_);
    finish_user_account(profile.users.back());
    return profile;
}

Result<Profile> Dialogue::run() {
    const std::vector<Step> steps{
        {&Dialogue::ask_welcome, &Dialogue::always}, {&Dialogue::ask_name, &Dialogue::always},
        {&Dialogue::ask_network, &Dialogue::always}, {&Dialogue::ask_addresses, &Dialogue::is_manual},
        {&Dialogue::ask_region, &Dialogue::always},  {&Dialogue::ask_location, &Dialogue::has_locations},
        {&Dialogue::ask_locale, &Dialogue::always},  {&Dialogue::ask_keyboard, &Dialogue::always},
        {&Dialogue::ask_root, &Dialogue::always},    {&Dialogue::ask_user, &Dialogue::always},
        {&Dialogue::ask_summary, &Dialogue::always}};
    std::size_t at = 0;
    while (at < steps.size()) {
        KZ_TRY(const Move move, (this->*steps[at].ask)());
        if (move == Move::quit) {
            KZ_TRY(const bool sure, is_sure_to_quit());
            if (sure) return fail(Errc::cancelled, "the user has quit; no profile was written");
            continue;
        }
        do {
            if (move == Move::next) ++at;
            if (move == Move::back && at > 0) --at;
        } while (at > 0 && at < steps.size() && !(this->*steps[at].wanted)());
    }
    for (const std::string& line : summary())
        note_(line);
    return profile();
}

}  // namespace

Result<SysconfigLog> SysconfigLog::create(const Path& file) {
    if (file.has_parent_path()) KZ_CHECK(make_directories(file.parent_path(), 0755));
    KZ_TRY(UniqueFd fd, open_file(file, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
    return SysconfigLog(std::move(fd));
}

void SysconfigLog::say(const std::string& text) const {
    const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    [[maybe_unused]] const Result<void> written =
        write_all(fd_.get(), as_bytes(fmt::format("{:%Y-%m-%dT%H:%M:%SZ} {}\n", fmt::gmtime(now), text)),
                  Deadline::never());
}

std::optional<SysconfigFault> find_fault(const SysconfigPage& page) {
    for (std::size_t i = 0; i < page.fields.size(); ++i) {
        const SysconfigField& field = page.fields[i];
        if (field.value.empty() && !field.may_be_empty)
            return SysconfigFault{i, fmt::format("{}: an answer is needed", field.label)};
        if (field.value.empty() || !field.check) continue;
        if (const Result<void> good = field.check(field.value); !good)
            return SysconfigFault{i, fmt::format("{}: {}", field.label, good.error().message())};
    }
    if (!page.check) return std::nullopt;
    if (const Result<void> good = page.check(page.fields); !good)
        return SysconfigFault{0, good.error().message()};
    return std::nullopt;
}

Result<Profile> ask_for_profile(const SysconfigNote& note, int cancel_fd) {
    KZ_TRY(std::vector<std::string> zones, install::list_time_zones());
    Result<std::unique_ptr<SysconfigScreen>> screen = open_full_screen(cancel_fd);
    if (!screen) screen = open_line_screen(cancel_fd);
    if (!screen) return std::unexpected(screen.error());
    return Dialogue(**screen, note, std::move(zones)).run();
}

}  // namespace kz::cli
