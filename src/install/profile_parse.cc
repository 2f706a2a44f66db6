#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include "install/profile.h"
#include "install/profile_checks.h"
#include "install/yaml_refusal.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxSize = 64 * 1024;
constexpr int kMaxDepth = 8;
constexpr int kMaxNodes = 4096;
constexpr std::size_t kMaxUsers = 17;  // root is one
constexpr std::size_t kMaxInterfaces = 16;
constexpr std::size_t kMaxListed = 32;

// Sees the document before a tree is made of it.
class Limits : public YAML::EventHandler {
  public:
    void OnDocumentStart(const YAML::Mark& mark) override {
        if (++documents_ > 1) refuse(mark, "there is a second document");
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { count(mark, "?", anchor); }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string&) override {
        count(mark, tag, anchor);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        begin(mark, tag, anchor);
    }
    void OnSequenceEnd() override { --depth_; }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        begin(mark, tag, anchor);
    }
    void OnMapEnd() override { --depth_; }

  private:
    [[noreturn]] static void refuse_anchor(const YAML::Mark& mark) {
        refuse(mark, "anchors and aliases have no place in a profile");
    }
    void count(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
        if (anchor != 0) refuse_anchor(mark);
        if (!tag.empty() && tag != "?" && tag != "!") refuse(mark, "tags have no place in a profile");
        if (++nodes_ > kMaxNodes) refuse(mark, "there are more than {} values", kMaxNodes);
    }
    void begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
        count(mark, tag, anchor);
        if (++depth_ > kMaxDepth) refuse(mark, "there are more than {} levels", kMaxDepth);
    }
    int documents_ = 0;
    int nodes_ = 0;
    int depth_ = 0;
};

void hold_to_limits(const std::string& text) {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    Limits limits;
    while (parser.HandleNextDocument(limits)) {
    }
}

using Check = Result<void> (*)(const std::string& text);

std::string read_text(const YAML::Node& node, std::string_view key) {
    if (!node.IsScalar()) refuse(node.Mark(), "'{}' must be a text", key);
    return node.Scalar();
}

std::string read_checked(const YAML::Node& node, std::string_view key, Check check) {
    std::string text = read_text(node, key);
    if (const Result<void> good = check(text); !good)
        refuse(node.Mark(), "{}: {}", key, good.error().message());
    return text;
}

bool read_flag(const YAML::Node& node, std::string_view key) {
    const std::string text = read_text(node, key);
    if (text != "true" && text != "false") refuse(node.Mark(), "'{}' must be true or false", key);
    return text == "true";
}

template <typename T>
std::vector<T> read_list(const YAML::Node& node, std::string_view key, std::size_t most,
                         const std::function<T(const YAML::Node&)>& read) {
    if (!node.IsSequence()) refuse(node.Mark(), "'{}' must be a list", key);
    if (node.size() > most) refuse(node.Mark(), "'{}' has more than {} entries", key, most);
    std::vector<T> list;
    for (const YAML::Node& one : node)
        list.push_back(read(one));
    return list;
}

using Reader = std::function<void(const YAML::Node&)>;
using Fields = std::map<std::string, Reader, std::less<>>;

Reader text_into(std::string& out, std::string_view key, Check check) {
    return [&out, key, check](const YAML::Node& node) { out = read_checked(node, key, check); };
}
Reader texts_into(std::vector<std::string>& out, std::string_view key, Check check) {
    return [&out, key, check](const YAML::Node& node) {
        out = read_list<std::string>(node, key, kMaxListed,
                                     [&](const YAML::Node& one) { return read_checked(one, key, check); });
    };
}
Reader flag_into(bool& out, std::string_view key) {
    return [&out, key](const YAML::Node& node) { out = read_flag(node, key); };
}

// Calls `take` for each entry of a map, whose keys differ.
void read_map(const YAML::Node& map, std::string_view what,
              const std::function<void(const YAML::Node& name, const YAML::Node& value)>& take) {
    if (!map.IsMap()) refuse(map.Mark(), "{} must be a map of keys and values", what);
    std::set<std::string> seen;
    for (const auto& entry : map) {
        const std::string key = read_text(entry.first, "key");
        if (!seen.insert(key).second) refuse(entry.first.Mark(), "key '{}' is given twice", key);
        if (entry.second.IsNull()) refuse(entry.first.Mark(), "key '{}' has no value", key);
        take(entry.first, entry.second);
    }
}

void read_fields(const YAML::Node& map, std::string_view what, const Fields& fields) {
    read_map(map, what, [&](const YAML::Node& name, const YAML::Node& value) {
        const auto field = fields.find(name.Scalar());
        if (field == fields.end()) refuse(name.Mark(), "unknown key '{}'", name.Scalar());
        field->second(value);
    });
}

ProfileKeyboard read_keyboard(const YAML::Node& node) {
    ProfileKeyboard keyboard;
    read_fields(node, "'keyboard'",
                {{"layout", text_into(keyboard.layout, "layout", check_keyboard)},
                 {"model", text_into(keyboard.model, "model", check_keyboard)},
                 {"variant", text_into(keyboard.variant, "variant", check_keyboard)},
                 {"options", text_into(keyboard.options, "options", check_keyboard)}});
    if (keyboard.layout.empty()) refuse(node.Mark(), "'keyboard' lacks the key 'layout'");
    return keyboard;
}

// cloud-init takes an account for locked that is not said to be open.
void hold_to_password_rules(const YAML::Node& node, const ProfileUser& user, bool locked) {
    if (!user.password_hash.empty() && locked)
        refuse(node.Mark(), "user '{}' has a password, which needs 'lock_passwd: false'", user.name);
    if (user.password_hash.empty() && !locked)
        refuse(node.Mark(), "user '{}' has no password and must stay locked", user.name);
    const bool plain_root = user.full_name.empty() && user.shell.empty() && user.sudo.empty();
    if (user.name == "root" && !plain_root)
        refuse(node.Mark(), "of root, only the password and the ssh keys can be given");
}

ProfileUser read_user(const YAML::Node& node) {
    ProfileUser user;
    bool locked = true;
    const auto read_sudo = [&](const YAML::Node& value) {
        if (read_text(value, "sudo") != "false") user.sudo = read_checked(value, "sudo", check_sudo);
    };
    read_fields(node, "an entry of 'users'",
                {{"name", text_into(user.name, "name", check_user_name)},
                 {"gecos", text_into(user.full_name, "gecos", check_full_name)},
                 {"shell", text_into(user.shell, "shell", check_shell)},
                 {"sudo", read_sudo},
                 {"lock_passwd", flag_into(locked, "lock_passwd")},
                 {"hashed_passwd", text_into(user.password_hash, "hashed_passwd", check_password_hash)},
                 {"ssh_authorized_keys", texts_into(user.ssh_keys, "ssh_authorized_keys", check_ssh_key)}});
    if (user.name.empty()) refuse(node.Mark(), "an entry of 'users' lacks the key 'name'");
    hold_to_password_rules(node, user, locked);
    return user;
}

std::string read_route(const YAML::Node& node) {
    std::string to;
    std::string via;
    const auto read_to = [&](const YAML::Node& value) {
        to = read_text(value, "to");
        if (to != "default") refuse(value.Mark(), "'to' must be default: a profile has no other routes");
    };
    read_fields(node, "an entry of 'routes'",
                {{"to", read_to}, {"via", text_into(via, "via", check_address)}});
    if (to.empty() || via.empty()) refuse(node.Mark(), "an entry of 'routes' needs 'to' and 'via'");
    return via;
}

std::vector<std::string> read_routes(const YAML::Node& node) {
    bool seen[2] = {false, false};
    return read_list<std::string>(node, "routes", 2, [&](const YAML::Node& one) {
        std::string via = read_route(one);
        bool& same_family = seen[via.find(':') != std::string::npos ? 1 : 0];
        if (same_family) refuse(one.Mark(), "there is more than one default route of a family");
        same_family = true;
        return via;
    });
}

ProfileInterface read_interface(const YAML::Node& name, const YAML::Node& node) {
    ProfileInterface one;
    one.name = read_checked(name, "ethernets", check_interface);
    const auto read_name_servers = [&](const YAML::Node& value) {
        read_fields(value, "'nameservers'",
                    {{"addresses", texts_into(one.name_servers, "addresses", check_address)},
                     {"search", texts_into(one.search, "search", check_domain)}});
    };
    read_fields(node, "an interface",
                {{"dhcp4", flag_into(one.dhcp4, "dhcp4")},
                 {"dhcp6", flag_into(one.dhcp6, "dhcp6")},
                 {"addresses", texts_into(one.addresses, "addresses", check_address_with_prefix)},
                 {"routes", [&](const YAML::Node& value) { one.routers = read_routes(value); }},
                 {"nameservers", read_name_servers}});
    return one;
}

std::vector<ProfileInterface> read_network(const YAML::Node& node) {
    std::vector<ProfileInterface> interfaces;
    std::string version;
    const auto read_version = [&](const YAML::Node& value) {
        version = read_text(value, "version");
        if (version != "2") refuse(value.Mark(), "the version of 'network' must be 2");
    };
    const auto read_ethernets = [&](const YAML::Node& value) {
        read_map(value, "'ethernets'", [&](const YAML::Node& name, const YAML::Node& one) {
            if (interfaces.size() == kMaxInterfaces)
                refuse(name.Mark(), "there are more than {} interfaces", kMaxInterfaces);
            interfaces.push_back(read_interface(name, one));
        });
    };
    read_fields(node, "'network'", {{"version", read_version}, {"ethernets", read_ethernets}});
    if (version.empty()) refuse(node.Mark(), "'network' lacks the key 'version'");
    return interfaces;
}

Profile read_profile(const YAML::Node& root) {
    Profile profile;
    if (root.IsNull()) return profile;
    read_fields(root, "the profile",
                {{"hostname", text_into(profile.host_name, "hostname", check_host_name)},
                 {"timezone", text_into(profile.time_zone, "timezone", check_time_zone)},
                 {"locale", text_into(profile.locale, "locale", check_locale)},
                 {"keyboard", [&](const YAML::Node& node) { profile.keyboard = read_keyboard(node); }},
                 {"users", [&](const YAML::Node& node) { profile.users = read_users(node); }},
                 {"network", [&](const YAML::Node& node) { profile.interfaces = read_network(node); }}});
    return profile;
}

// The line of the first character that no text has; 0 when there is none.
int line_of_control_character(std::string_view text) {
    const auto bad = std::ranges::find_if(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < ' ' && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f;
    });
    return bad == text.end() ? 0 : static_cast<int>(std::count(text.begin(), bad, '\n')) + 1;
}

}  // namespace

std::vector<ProfileUser> read_users(const YAML::Node& node) {
    std::set<std::string> names;
    return read_list<ProfileUser>(node, "users", kMaxUsers, [&](const YAML::Node& one) {
        ProfileUser user = read_user(one);
        if (!names.insert(user.name).second) refuse(one.Mark(), "user '{}' is given twice", user.name);
        return user;
    });
}

Result<Profile> parse_profile(std::string_view text, std::string_view origin) {
    if (text.size() > kMaxSize)
        return fail(Errc::invalid_argument, "{}: a profile has at most {} bytes", origin, kMaxSize);
    const std::string_view first = text.substr(0, text.find_first_of("\r\n"));
    if (first != "#cloud-config")
        return fail(Errc::invalid_argument, "{}:1: the first line of a profile is '#cloud-config'", origin);
    if (const int line = line_of_control_character(text); line > 0)
        return fail(Errc::invalid_argument, "{}:{}: there is a control character", origin, line);
    try {
        hold_to_limits(std::string(text));
        return read_profile(YAML::Load(std::string(text)));
    } catch (const YamlRefusal& error) {
        return fail(Errc::invalid_argument, "{}:{}: {}", origin, error.line, error.message);
    } catch (const YAML::Exception& error) {
        return fail(Errc::invalid_argument, "{}:{}: {}", origin, std::max(error.mark.line, 0) + 1, error.msg);
    }
}

}  // namespace kz::install
