#include "zone/pattern.h"

#include "zone/resource.h"

namespace kz::zone {

namespace {

constexpr std::string_view kZoneName = "%{zonename}";
constexpr std::string_view kId = "%{id}";

}  // namespace

std::string expand_pattern(std::string_view pattern, std::string_view zone_name, std::string_view id) {
    std::string out;
    while (!pattern.empty()) {
        if (pattern.starts_with(kZoneName)) {
            out += zone_name;
            pattern.remove_prefix(kZoneName.size());
        } else if (pattern.starts_with(kId)) {
            out += id;
            pattern.remove_prefix(kId.size());
        } else {
            out += pattern.front();
            pattern.remove_prefix(1);
        }
    }
    return out;
}

bool pattern_is_known(std::string_view pattern) {
    return expand_pattern(pattern, "", "").find("%{") == std::string::npos;
}

std::string effective_value(const Resource& resource, std::string_view property, std::string_view zone_name) {
    if (const auto text = resource.get(property)) return *text;
    const PropertySpec* spec = find_property(resource.spec(), property);
    if (spec == nullptr || spec->expands.empty()) return {};
    const auto pattern = resource.get(spec->expands);
    return pattern ? expand_pattern(*pattern, zone_name, resource.get("id").value_or("")) : std::string{};
}

}  // namespace kz::zone
