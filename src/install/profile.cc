#include "install/profile.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.h"
#include "os/file.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;  // the parser has its own, smaller limit and message

// Whether YAML takes the text for itself without quotes.
bool is_plain(const std::string& text) {
    constexpr std::array<std::string_view, 9> kWords{"true", "false", "yes", "no", "on",
                                                     "off",  "null",  "y",   "n"};
    const auto plain = [](unsigned char c) {
        return std::isalnum(c) || c == '_' || c == '.' || c == '/' || c == '-';
    };
    return !text.empty() && (std::isalpha(static_cast<unsigned char>(text.front())) || text.front() == '/') &&
           std::ranges::all_of(text, plain) && std::ranges::find(kWords, to_lower(text)) == kWords.end();
}

std::string scalar(const std::string& text) {
    if (is_plain(text)) return text;
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted + '"';
}

class Writer {
  public:
    void line(int indent, std::string_view text) {
        text_.append(static_cast<std::size_t>(indent), ' ').append(text) += '\n';
    }
    void value(int indent, std::string_view key, const std::string& text) {
        if (!text.empty()) line(indent, fmt::format("{}: {}", key, scalar(text)));
    }
    void list(int indent, std::string_view key, const std::vector<std::string>& texts) {
        if (texts.empty()) return;
        line(indent, fmt::format("{}:", key));
        for (const std::string& text : texts)
            line(indent + 2, fmt::format("- {}", scalar(text)));
    }
    std::string take() && { return std::move(text_); }

  private:
    std::string text_;
};

void write_keyboard(Writer& out, const ProfileKeyboard& keyboard) {
    if (keyboard.layout.empty()) return;
    out.line(0, "keyboard:");
    out.value(2, "layout", keyboard.layout);
    out.value(2, "model", keyboard.model);
    out.value(2, "variant", keyboard.variant);
    out.value(2, "options", keyboard.options);
}

void write_users(Writer& out, const std::vector<ProfileUser>& users) {
    if (users.empty()) return;
    out.line(0, "users:");
    for (const ProfileUser& user : users) {
        out.line(2, fmt::format("- name: {}", scalar(user.name)));
        out.value(4, "gecos", user.full_name);
        out.value(4, "shell", user.shell);
        out.value(4, "sudo", user.sudo);
        out.line(4, user.password_hash.empty() ? "lock_passwd: true" : "lock_passwd: false");
        out.value(4, "hashed_passwd", user.password_hash);
        out.list(4, "ssh_authorized_keys", user.ssh_keys);
    }
}

void write_interface(Writer& out, const ProfileInterface& one) {
    out.line(4, one.name + ":");
    out.line(6, fmt::format("dhcp4: {}", one.dhcp4));
    if (one.dhcp6) out.line(6, "dhcp6: true");
    out.list(6, "addresses", one.addresses);
    if (!one.routers.empty()) out.line(6, "routes:");
    for (const std::string& router : one.routers) {
        out.line(8, "- to: default");
        out.value(10, "via", router);
    }
    if (!one.name_servers.empty() || !one.search.empty()) out.line(6, "nameservers:");
    out.list(8, "addresses", one.name_servers);
    out.list(8, "search", one.search);
}

}  // namespace

bool needs_no_definition(std::string_view locale) {
    return locale == "C" || locale == "POSIX" || locale == "C.UTF-8";
}

Result<Profile> load_profile(const Path& path) {
    std::error_code error;
    const Path file = std::filesystem::is_directory(path, error) ? path / kProfileFileName : path;
    KZ_TRY(const std::string text, read_file(file, kMaxFile));
    return parse_profile(text, file.string());
}

std::string render_profile(const Profile& profile) {
    Writer out;
    out.line(0, "#cloud-config");
    out.line(0, "# What a new zone is called, where it is and who may log in: zoneadm install -c FILE");
    out.value(0, "hostname", profile.host_name);
    out.value(0, "timezone", profile.time_zone);
    out.value(0, "locale", profile.locale);
    write_keyboard(out, profile.keyboard);
    write_users(out, profile.users);
    if (!profile.interfaces.empty()) {
        out.line(0, "network:");
        out.line(2, "version: 2");
        out.line(2, "ethernets:");
    }
    for (const ProfileInterface& one : profile.interfaces)
        write_interface(out, one);
    return std::move(out).take();
}

}  // namespace kz::install
