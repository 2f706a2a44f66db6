// Patterns in storage.template: "file:///zones/%{zonename}/disk%{id}". For zone, zonecfg and installers.
#pragma once

#include <string>
#include <string_view>

namespace kz::zone {

class Resource;

// Replaces %{zonename} and %{id}; anything else stays as it is.
std::string expand_pattern(std::string_view pattern, std::string_view zone_name, std::string_view id);

// True when every %{...} in it is one that we expand.
bool pattern_is_known(std::string_view pattern);

// The value of a property: as set, else the expansion of the property that the schema names; else empty.
std::string effective_value(const Resource& resource, std::string_view property, std::string_view zone_name);

}  // namespace kz::zone
