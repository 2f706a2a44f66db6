// Whom this host is, whom it trusts, and who may administer it: the files of etc/zones/rad. For src/migrate
// (the calling side), src/rad (the called side) and the commands.
//
// Theory of operation: hosts know each other as ssh hosts do, by the fingerprint of a key that each made for
// itself, not by a certificate authority. Below etc/zones/rad:
//
//   host.key         PEM, mode 0600: this host's private key. Made at first use, never replaced by itself.
//   host.crt         PEM: the certificate that carries its public half in TLS.
//   known_hosts      servers that this host trusts. A line: NAME SHA256:FINGERPRINT
//                    NAME is "host" or "[host]:port"; a host may have several lines.
//   authorized_keys  clients that may administer this host. A line: SHA256:FINGERPRINT [role=ROLE] [NAME]
//                    ROLE is a word that src/rad knows; a key without one may do everything.
//   *.lock           taken while one of the files is rewritten.
//
// Empty lines and lines that start with # say nothing. Lines that we cannot read are kept when a file is
// rewritten; a known_hosts line that names the host in question and cannot be read is an error, so that a
// slip of an editor never turns a pinned host into an unknown one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/host_key.h"
#include "os/paths.h"

namespace kz::migrate {

// This host's key; the first caller makes it (any number of processes may call at the same time). A key
// without its certificate, or the two of different hosts, is Errc::corrupt: peers have pinned that key, so it
// is never replaced silently.
Result<crypto::HostKey> load_or_create_host_key(const HostPaths& paths);

// The content of known_hosts.
class KnownHosts {
  public:
    // Nothing is refused here but too much: more than 1 MiB is Errc::invalid_argument.
    static Result<KnownHosts> parse(std::string_view text);
    // The host's file; a missing one is empty.
    static Result<KnownHosts> load(const HostPaths& paths);

    // The fingerprints of `name`, none when the host is not known. Errc::corrupt when a line that names the
    // host holds no fingerprint.
    Result<std::vector<std::string>> find(std::string_view name) const;
    // Adds a line unless it is there. `name` has no blanks and `fingerprint` is one (Errc::invalid_argument).
    Result<void> add(std::string_view name, std::string_view fingerprint);
    std::string render() const;

  private:
    std::vector<std::string> lines_;
};

// Adds to the host's file, under its lock. Errors as KnownHosts::add and those of files.
Result<void> remember_host(const HostPaths& paths, std::string_view name, std::string_view fingerprint);

// What a line of authorized_keys says besides the fingerprint.
struct AuthorizedKey {
    std::string name;                 // empty when it has none
    std::optional<std::string> role;  // the word after "role=", not checked here
    bool operator==(const AuthorizedKey&) const = default;
};

// The content of authorized_keys.
class AuthorizedKeys {
  public:
    static Result<AuthorizedKeys> parse(std::string_view text);
    static Result<AuthorizedKeys> load(const HostPaths& paths);

    // Nothing when the key is not authorised.
    std::optional<AuthorizedKey> look_up(std::string_view fingerprint) const;
    // The name beside the fingerprint ("" when it has none); nothing when the key is not authorised.
    std::optional<std::string> find(std::string_view fingerprint) const;
    // Adds a line; a key that is there gets the new name and the new role, each unless it is empty (so that
    // naming a key again never widens what it may do). Errors: Errc::invalid_argument for what is not a
    // fingerprint, for a role that is no word, or for a name with control characters.
    Result<void> add(std::string_view fingerprint, std::string_view name, std::string_view role = {});
    std::string render() const;

  private:
    std::vector<std::string> lines_;
};

// Adds to the host's file, under its lock.
Result<void> authorize_key(const HostPaths& paths, std::string_view fingerprint, std::string_view name,
                           std::string_view role = {});

}  // namespace kz::migrate
