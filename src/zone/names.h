// Names of zones and the words for what is wrong. For every floor above zone.
#pragma once

#include <string_view>

namespace kz::zone {

inline constexpr std::size_t kMaxZoneName = 63;

// [A-Za-z0-9][A-Za-z0-9_.-]*, shorter than 64 characters.
bool is_well_formed_name(std::string_view name);

// "global" and names that start with SUNW or SYS: not for zones of users (SYS... are templates).
bool is_reserved_name(std::string_view name);

inline bool is_valid_zone_name(std::string_view name) {
    return is_well_formed_name(name) && !is_reserved_name(name);
}

// Reasons, in the original's words.
inline constexpr std::string_view kNoSuchZone = "No such zone configured";
inline constexpr std::string_view kInvalidArgument = "Invalid argument";
inline constexpr std::string_view kNoSuchResourceType = "No such resource type";
inline constexpr std::string_view kNoSuchPropertyType = "No such property type";
inline constexpr std::string_view kNoSuchPropertyId = "No such property with that id";
inline constexpr std::string_view kNoSuchResourceId = "No such resource with that id";
inline constexpr std::string_view kRequiredMissing = "Required property missing";
inline constexpr std::string_view kInsufficient = "Insufficient specification";
inline constexpr std::string_view kBogusZoneName = "Bogus zone name";
inline constexpr std::string_view kPermissionDenied = "Permission denied";
inline constexpr std::string_view kNameInUse = "Zone name already in use";
inline constexpr std::string_view kBadState = "Zone state is invalid for the requested operation";
inline constexpr std::string_view kClearDisallowed = "Clearing property is not allowed";

}  // namespace kz::zone
