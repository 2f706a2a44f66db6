#include "rad/access.h"

#include <array>

namespace kz::rad {
namespace {

constexpr std::array<std::string_view, 5> kRoles{"delegate", "viewer", "migrate", "operator", "full"};
constexpr std::array<std::string_view, 6> kNeeds{"anyone",  "any role", "viewer",
                                                 "migrate", "operator", "full"};

}  // namespace

std::string_view role_name(Role role) {
    return kRoles.at(static_cast<std::size_t>(role) - 1);
}

std::string_view need_name(Need need) {
    return kNeeds.at(static_cast<std::size_t>(need) - 1);
}

std::optional<Role> parse_role(std::string_view name) {
    for (const Role role : {Role::viewer, Role::migrate, Role::operate, Role::full})
        if (name == role_name(role)) return role;
    return std::nullopt;
}

bool permits(Role role, Need need) {
    switch (need) {
        case Need::anyone:
        case Need::known:
            return true;
        case Need::view:
            return role != Role::delegate;
        case Need::migrate:
            return role == Role::migrate || role == Role::full;
        case Need::operate:
            return role == Role::operate || role == Role::full;
        case Need::full:
            return role == Role::full;
    }
    return false;
}

}  // namespace kz::rad
