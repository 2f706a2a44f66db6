// Permissions: which role a user has on this host, and which zones are delegated to a user. For src/rad.
//
// Theory of operation: etc/zones/rad/roles is text, one rule a line, the first that fits decides:
//
//   user NAME ROLE
//   group NAME ROLE
//
// ROLE is one of rad/access.h. Empty lines and lines that start with # say nothing; a line that cannot be
// read is an error for everybody but root, so that a slip of an editor never lets a later, wider rule decide.
// root has role full without a rule. Both this file and the zones' configurations are read again for each
// question: what is taken away ends at once.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/paths.h"
#include "rad/access.h"

namespace kz::rad {

// A user who has proved a password, with the groups of that moment.
struct User {
    std::string name;
    std::vector<std::string> groups;
    bool superuser = false;  // uid 0
};
// From the host's user database. Errors: Errc::not_found.
Result<User> look_up_user(const std::string& name);

// Thread-safe.
class Permissions {
  public:
    explicit Permissions(HostPaths paths) : paths_(std::move(paths)) {}

    // Nothing for a user without a rule to whom no zone is delegated. Errors: Errc::corrupt (a line that
    // cannot be read), those of files.
    Result<std::optional<Role>> role_of(const User& user) const;
    // Whether the zone's configuration gives the user one of `auths` ("a|b", or kAnyAuth). A configuration
    // that cannot be read gives nothing.
    bool delegates(const std::string& zone, std::string_view user, std::string_view auths) const;

  private:
    Result<std::optional<Role>> role_by_file(const User& user) const;
    bool any_delegated(std::string_view user) const;
    HostPaths paths_;
};

// The content of the roles file (for Permissions and tests).
Result<std::optional<Role>> find_role(std::string_view text, const User& user);

}  // namespace kz::rad
