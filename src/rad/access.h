// Access: roles of clients and what each route asks of them. For src/rad.
//
//   role      may
//   full      everything: root on this host, and keys that are authorised without a role
//   operator  look at everything, act on zones (boot, halt, suspend, ...) and move them away
//   migrate   look at everything and move zones here: what another host needs
//   viewer    look at everything
//   delegate  only what `admin` resources of single zones give (user and auths, as zonecfg sets them)
//
// Configurations are for full only (and the auth `config`): one may name any disk or device of the host.
#pragma once

#include <optional>
#include <string_view>

namespace kz::rad {

enum class Role { delegate = 1, viewer, migrate, operate, full };

// "operator" for Role::operate.
std::string_view role_name(Role role);
// The four that may be written in authorized_keys and roles: full, operator, migrate and viewer.
std::optional<Role> parse_role(std::string_view name);

enum class Need {
    anyone = 1,  // also who is not authenticated
    known,       // any role
    view,
    migrate,
    operate,
    full,
};
std::string_view need_name(Need need);

// What a route asks for. `delegated` are auths of the zone's `admin` resources, separated by "|"; one of
// them suffices for the zone that the path names. kAnyAuth: whatever its auths are.
struct Access {
    Need need = Need::full;
    std::string_view delegated{};
};
inline constexpr std::string_view kAnyAuth = "*";

bool permits(Role role, Need need);

}  // namespace kz::rad
