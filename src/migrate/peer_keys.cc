#include "migrate/peer_keys.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "os/file.h"

namespace kz::migrate {
namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;
constexpr std::size_t kMaxPem = 64 * 1024;
constexpr std::size_t kMaxName = 256;
constexpr std::chrono::seconds kLockTimeout{10};
constexpr std::string_view kRoleMark = "role=";

Path known_hosts_file(const HostPaths& paths) {
    return paths.rad_dir() / "known_hosts";
}
Path authorized_keys_file(const HostPaths& paths) {
    return paths.rad_dir() / "authorized_keys";
}

Result<FileLock> lock_beside(const Path& file) {
    KZ_CHECK(make_directories(file.parent_path(), 0755));
    return FileLock::acquire(file.string() + ".lock", Deadline::after(kLockTimeout));
}

Result<std::string> read_or_empty(const Path& file) {
    auto text = read_file(file, kMaxFile);
    if (!text && text.error().code() == Errc::not_found) return std::string();
    return text;
}

Result<std::vector<std::string>> split_lines(std::string_view text) {
    if (text.size() > kMaxFile)
        return fail(Errc::invalid_argument, "a file of keys with more than {} bytes", kMaxFile);
    if (text.ends_with('\n')) text.remove_suffix(1);
    if (text.empty()) return std::vector<std::string>();
    return split(text, '\n');
}

std::string join_lines(const std::vector<std::string>& lines) {
    return lines.empty() ? std::string() : join(lines, "\n") + "\n";
}

// The first word of a line and what follows it; both empty for a comment.
struct Fields {
    std::string_view first;
    std::string_view rest;
};
Fields fields_of(std::string_view line) {
    line = trim(line);
    if (line.starts_with('#')) return {};
    const auto end = std::min(line.find_first_of(" \t"), line.size());
    return {line.substr(0, end), trim(line.substr(end))};
}

// "role=viewer node 1" and "node 1". In "role= full" the role is empty, which no role is: a name must not
// become one.
AuthorizedKey key_of(std::string_view text) {
    if (!text.starts_with(kRoleMark)) return {.name = std::string(text), .role = std::nullopt};
    text.remove_prefix(kRoleMark.size());
    const auto end = std::min(text.find_first_of(" \t"), text.size());
    return {.name = std::string(trim(text.substr(end))), .role = std::string(text.substr(0, end))};
}

bool is_plain(std::string_view text) {
    return std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// Reads the file, changes its content and replaces it, with no other writer between.
template <typename Table, typename Change>
Result<void> rewrite(const Path& file, Change change) {
    KZ_TRY(const FileLock lock, lock_beside(file));
    KZ_TRY(const std::string text, read_or_empty(file));
    KZ_TRY_CONTEXT(Table table, Table::parse(text), file.string());
    KZ_CHECK(change(table));
    const std::string changed = table.render();
    if (changed == text) return {};
    return write_file_atomic(file, changed, 0644);
}

std::string own_common_name() {
    constexpr std::size_t kMaxCommonName = 64;
    std::array<char, kMaxCommonName + 1> name{};
    if (::gethostname(name.data(), name.size() - 1) < 0 && errno != ENAMETOOLONG) return "localhost";
    return name.front() == '\0' ? "localhost" : name.data();
}

Result<crypto::HostKey> make_host_key(const Path& key_file, const Path& cert_file) {
    KZ_TRY(crypto::HostKey key, crypto::generate_host_key(own_common_name()));
    // The key comes last: its presence says that both are there.
    KZ_CHECK(write_file_atomic(cert_file, key.cert_pem, 0644));
    KZ_CHECK(write_file_atomic(key_file, as_text(key.key_pem.view()), 0600));
    return key;
}

}  // namespace

Result<crypto::HostKey> load_or_create_host_key(const HostPaths& paths) {
    const Path key_file = paths.rad_dir() / "host.key";
    const Path cert_file = paths.rad_dir() / "host.crt";
    KZ_TRY(const FileLock lock, lock_beside(key_file));
    auto key_text = read_file(key_file, kMaxPem);
    if (!key_text && key_text.error().code() == Errc::not_found) return make_host_key(key_file, cert_file);
    if (!key_text) return std::unexpected(std::move(key_text).error());
    const Secret key_pem(as_bytes(*key_text));
    std::ranges::fill(*key_text, '\0');
    auto cert_pem = read_file(cert_file, kMaxPem);
    if (!cert_pem && cert_pem.error().code() == Errc::not_found)
        return fail(Errc::corrupt, "{} is missing; restore it, or remove {} to make a new identity",
                    cert_file.string(), key_file.string());
    if (!cert_pem) return std::unexpected(std::move(cert_pem).error());
    auto key = crypto::load_host_key(key_pem.view(), *cert_pem);
    if (!key) return std::unexpected(std::move(key).error().context(key_file.string()));
    return key;
}

Result<KnownHosts> KnownHosts::parse(std::string_view text) {
    KnownHosts hosts;
    KZ_TRY(hosts.lines_, split_lines(text));
    return hosts;
}

Result<KnownHosts> KnownHosts::load(const HostPaths& paths) {
    KZ_TRY(const std::string text, read_or_empty(known_hosts_file(paths)));
    return parse(text);
}

Result<std::vector<std::string>> KnownHosts::find(std::string_view name) const {
    std::vector<std::string> fingerprints;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        const Fields fields = fields_of(lines_[i]);
        if (fields.first.empty() || to_lower(fields.first) != to_lower(name)) continue;
        if (!crypto::is_fingerprint(fields.rest))
            return fail(Errc::corrupt, "known_hosts, line {}: not a fingerprint of host '{}'", i + 1, name);
        fingerprints.emplace_back(fields.rest);
    }
    return fingerprints;
}

Result<void> KnownHosts::add(std::string_view name, std::string_view fingerprint) {
    if (name.empty() || name.size() > kMaxName || !is_plain(name) || name.contains(' ') ||
        name.starts_with('#'))
        return fail(Errc::invalid_argument, "'{}' is not a host's name", name);
    if (!crypto::is_fingerprint(fingerprint))
        return fail(Errc::invalid_argument, "'{}' is not a fingerprint", fingerprint);
    KZ_TRY(const std::vector<std::string> present, find(name));
    if (std::ranges::find(present, fingerprint) == present.end())
        lines_.push_back(fmt::format("{} {}", name, fingerprint));
    return {};
}

std::string KnownHosts::render() const {
    return join_lines(lines_);
}

Result<void> remember_host(const HostPaths& paths, std::string_view name, std::string_view fingerprint) {
    return rewrite<KnownHosts>(known_hosts_file(paths),
                               [&](KnownHosts& hosts) { return hosts.add(name, fingerprint); });
}

Result<AuthorizedKeys> AuthorizedKeys::parse(std::string_view text) {
    AuthorizedKeys keys;
    KZ_TRY(keys.lines_, split_lines(text));
    return keys;
}

Result<AuthorizedKeys> AuthorizedKeys::load(const HostPaths& paths) {
    KZ_TRY(const std::string text, read_or_empty(authorized_keys_file(paths)));
    return parse(text);
}

std::optional<AuthorizedKey> AuthorizedKeys::look_up(std::string_view fingerprint) const {
    if (!crypto::is_fingerprint(fingerprint)) return std::nullopt;
    for (const std::string& line : lines_) {
        const Fields fields = fields_of(line);
        if (fields.first == fingerprint) return key_of(fields.rest);
    }
    return std::nullopt;
}

std::optional<std::string> AuthorizedKeys::find(std::string_view fingerprint) const {
    const auto key = look_up(fingerprint);
    return key ? std::optional(key->name) : std::nullopt;
}

Result<void> AuthorizedKeys::add(std::string_view fingerprint, std::string_view name, std::string_view role) {
    if (!crypto::is_fingerprint(fingerprint))
        return fail(Errc::invalid_argument, "'{}' is not a fingerprint, which looks like SHA256:...",
                    fingerprint);
    if (name.size() > kMaxName || !is_plain(name) || trim(name).starts_with(kRoleMark))
        return fail(Errc::invalid_argument, "the name of a key is at most {} plain characters", kMaxName);
    if (role.size() > kMaxName || !std::ranges::all_of(role, [](char c) { return c >= 'a' && c <= 'z'; }))
        return fail(Errc::invalid_argument, "'{}' is not a role", role);
    AuthorizedKey key = look_up(fingerprint).value_or(AuthorizedKey{});
    if (const auto text = trim(name); !text.empty()) key.name = text;
    if (!role.empty()) key.role = role;
    std::string line(fingerprint);
    if (key.role) line += fmt::format(" {}{}", kRoleMark, *key.role);
    if (!key.name.empty()) line += fmt::format(" {}", key.name);
    const auto present = std::ranges::find_if(
        lines_, [&](const std::string& each) { return fields_of(each).first == fingerprint; });
    if (present == lines_.end())
        lines_.push_back(std::move(line));
    else
        *present = std::move(line);
    return {};
}

std::string AuthorizedKeys::render() const {
    return join_lines(lines_);
}

Result<void> authorize_key(const HostPaths& paths, std::string_view fingerprint, std::string_view name,
                           std::string_view role) {
    return rewrite<AuthorizedKeys>(authorized_keys_file(paths),
                                   [&](AuthorizedKeys& keys) { return keys.add(fingerprint, name, role); });
}

}  // namespace kz::migrate
