#include "install/profile_checks.h"

#include <arpa/inet.h>
#include <crypt.h>

#include <algorithm>
#include <cctype>

#include "base/bytes.h"
#include "base/text.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxHostName = 64;
constexpr std::size_t kMaxDomain = 253;
constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxShort = 64;
constexpr std::size_t kMaxLine = 255;
constexpr std::size_t kMaxUserName = 32;
constexpr std::size_t kMaxSshKey = 16 * 1024;

bool is_word_of(std::string_view text, std::string_view others, std::size_t longest) {
    return !text.empty() && text.size() <= longest && std::ranges::all_of(text, [&](unsigned char c) {
        return std::isalnum(c) || others.find(static_cast<char>(c)) != std::string_view::npos;
    });
}
bool is_letter(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0;
}
bool is_printable(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

// What stands in a message is cut and shows no control characters.
std::string quoted(std::string_view text) {
    constexpr std::size_t kShown = 80;
    std::string shown(text.substr(0, kShown));
    std::ranges::replace_if(shown, [](char c) { return c < ' ' || c > '~'; }, '?');
    return fmt::format("'{}{}'", shown, text.size() > kShown ? "..." : "");
}

Result<void> expect(bool good, std::string_view text, std::string_view wanted) {
    if (good) return {};
    return fail(Errc::invalid_argument, "{} is not {}", quoted(text), wanted);
}

bool is_domain(const std::string& text, std::size_t longest) {
    if (text.empty() || text.size() > longest) return false;
    return std::ranges::all_of(split(text, '.'), [](const std::string& label) {
        return is_word_of(label, "-", kMaxLabel) && label.front() != '-' && label.back() != '-';
    });
}

bool is_address(const std::string& text) {
    in6_addr ignored;
    if (!is_printable(text)) return false;
    return inet_pton(text.find(':') == std::string::npos ? AF_INET : AF_INET6, text.c_str(), &ignored) == 1;
}

// The body of a key says its own type, so a mangled one is seen.
bool is_key_body(const std::string& type, const std::string& body) {
    const Result<Bytes> bytes = from_base64(body);
    if (!bytes || bytes->size() <= 4 + type.size()) return false;
    const ByteView view(*bytes);
    const std::size_t size = std::size_t{view[0]} << 24 | std::size_t{view[1]} << 16 |
                             std::size_t{view[2]} << 8 | std::size_t{view[3]};
    return size == type.size() && as_text(view.subspan(4, size)) == type;
}

// $METHOD$...$HASH, the hash of 22 characters (MD5, which is refused elsewhere) or more.
bool looks_like_hash(std::string_view text) {
    constexpr std::size_t kShortestHash = 22;
    if (!text.starts_with('$') || !is_word_of(text, "$./=,", kMaxLine)) return false;
    return text.size() - text.rfind('$') > kShortestHash;
}

bool is_key_type(const std::string& type) {
    return type == "ssh-ed25519" || type == "ssh-rsa" || type.starts_with("ecdsa-sha2-nistp") ||
           type == "sk-ssh-ed25519@openssh.com" || type == "sk-ecdsa-sha2-nistp256@openssh.com";
}

}  // namespace

Result<void> check_host_name(const std::string& text) {
    return expect(is_domain(text, kMaxHostName), text,
                  "a host name: letters, digits and hyphens, 64 characters at most");
}

Result<void> check_time_zone(const std::string& text) {
    bool good = is_word_of(text, "_+-/", kMaxShort) && is_letter(text.front());
    for (const std::string& part : split(text, '/'))
        good = good && !part.empty();
    return expect(good, text, "a time zone such as Europe/Berlin");
}

Result<void> check_locale(const std::string& text) {
    return expect(is_word_of(text, "_.@-", kMaxShort) && is_letter(text.front()), text,
                  "a locale such as en_US.UTF-8");
}

Result<void> check_keyboard(const std::string& text) {
    return expect(is_word_of(text, "_,:()+-", kMaxShort), text, "a word of keyboard(5), such as us");
}

Result<void> check_user_name(const std::string& text) {
    const bool good = is_word_of(text, "_-", kMaxUserName) && (is_letter(text.front()) || text[0] == '_') &&
                      std::ranges::none_of(text, [](unsigned char c) { return std::isupper(c); });
    return expect(good, text, "a user name: small letters, digits, '_' and '-', 32 at most");
}

Result<void> check_full_name(const std::string& text) {
    const bool good = !text.empty() && text.size() <= kMaxLine && is_printable(text) &&
                      text.find_first_of(":\\") == std::string::npos;
    return expect(good, text, "a full name: printable ASCII without ':'");
}

Result<void> check_shell(const std::string& text) {
    const bool good = is_word_of(text, "/._-", kMaxLine) && text.front() == '/' && text.back() != '/';
    return expect(good, text, "the absolute path of a shell");
}

Result<void> check_sudo(const std::string& text) {
    return expect(
        text == kSudoWithPassword || text == kSudoWithoutPassword, text,
        fmt::format("known here; there are '{}', '{}' and false", kSudoWithPassword, kSudoWithoutPassword));
}

Result<void> check_ssh_key(const std::string& text) {
    if (text.find("PRIVATE KEY") != std::string::npos)
        return fail(Errc::invalid_argument, "this is a private key; the public one is in the file .pub");
    const std::vector<std::string> words = split(text, ' ');
    const bool good = text.size() <= kMaxSshKey && is_printable(text) && words.size() >= 2 &&
                      is_key_type(words[0]) && is_key_body(words[0], words[1]);
    return expect(good, text, "a public key of ssh, such as ssh-ed25519 AAAA...");
}

Result<void> check_password_hash(const std::string& text) {
    if (!looks_like_hash(text))
        return fail(Errc::invalid_argument, "this is not the hash of a password, as of crypt(5): $6$...");
    const int verdict = ::crypt_checksalt(text.c_str());
    if (verdict == CRYPT_SALT_OK || verdict == CRYPT_SALT_TOO_CHEAP) return {};
    if (verdict == CRYPT_SALT_METHOD_LEGACY)
        return fail(Errc::invalid_argument, "the method of this password hash is too weak; use $6$ or $y$");
    return fail(Errc::invalid_argument, "crypt(3) does not know the method of this password hash");
}

Result<void> check_interface(const std::string& text) {
    const bool good = text.starts_with("eth") && text.size() <= 5 && parse_u64(text.substr(3)).has_value() &&
                      (text.size() == 4 || text[3] != '0');
    return expect(good, text, "an interface: eth0 is the zone's first, eth1 its second");
}

Result<void> check_address(const std::string& text) {
    return expect(is_address(text), text, "an address such as 192.0.2.1");
}

Result<void> check_address_with_prefix(const std::string& text) {
    const std::size_t slash = text.find('/');
    const auto prefix = slash == std::string::npos ? std::nullopt : parse_u64(text.substr(slash + 1));
    const std::uint64_t most = text.find(':') == std::string::npos ? 32 : 128;
    return expect(prefix && *prefix <= most && is_address(text.substr(0, slash)), text,
                  "an address with a prefix such as 192.0.2.5/24");
}

Result<void> check_domain(const std::string& text) {
    return expect(is_domain(text, kMaxDomain), text, "the name of a domain");
}

}  // namespace kz::install
