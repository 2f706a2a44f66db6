// What `info` prints. For zonecfg; pure text.
#pragma once

#include <string>
#include <string_view>

#include "zone/config.h"

namespace kz::zonecfg {

// The whole configuration: globals, then resources. Secrets are shown as "raw redacted".
std::string info_text(const zone::Config& config);

// One global property: "bootargs: quiet"; empty for one that is only shown when set, and is not.
std::string info_global(const zone::Config& config, const zone::PropertySpec& spec);

// A resource with its heading, "device 0:" (the number is its place) or "suspend:".
std::string info_resource(const zone::Resource& resource, std::size_t place, std::string_view zone_name);

// Only the properties, not indented: `info` within a resource.
std::string info_properties(const zone::Resource& resource, std::string_view zone_name);

}  // namespace kz::zonecfg
