#include "zonecfg/info.h"

#include <map>

#include "zone/pattern.h"

namespace kz::zonecfg {

namespace {

using zone::PropertySpec;
using zone::Resource;

std::string property_lines(const Resource& resource, const PropertySpec& spec, std::string_view zone_name) {
    const std::string name(spec.name);
    if (!spec.hidden_by.empty() && resource.has(spec.hidden_by)) return {};
    if (spec.secret && resource.has(name)) return name + " redacted\n";
    const zone::PropertyValue* value = resource.value(name);
    if (value != nullptr && value->list() != nullptr) {
        std::string lines;
        for (const zone::ScalarValue& item : *value->list())
            lines += fmt::format("{}: {}\n", name, zone::PropertyValue(item).display());
        return lines;
    }
    const std::string text = zone::effective_value(resource, name, zone_name);
    if (!text.empty()) return fmt::format("{}: {}\n", name, text);
    return spec.show == zone::Show::always ? name + " not specified\n" : std::string{};
}

std::string indented(std::string_view lines) {
    std::string out;
    while (!lines.empty()) {
        const auto size = lines.find('\n') + 1;
        out += "        ";
        out += lines.substr(0, size);
        lines.remove_prefix(size);
    }
    return out;
}

std::string info_group(const std::vector<Resource>& resources, std::string_view zone_name) {
    std::string out;
    std::map<std::string, std::size_t> places;
    for (const Resource& resource : resources)
        out += info_resource(resource, places[resource.type()]++, zone_name);
    return out;
}

}  // namespace

std::string info_global(const zone::Config& config, const PropertySpec& spec) {
    const auto text = config.global(spec.name);
    if (text && !text->empty()) return fmt::format("{}: {}\n", spec.name, *text);
    return spec.show == zone::Show::always ? fmt::format("{}:\n", spec.name) : std::string{};
}

std::string info_properties(const Resource& resource, std::string_view zone_name) {
    std::string out;
    for (const PropertySpec& spec : resource.spec().properties)
        out += property_lines(resource, spec, zone_name);
    return out + info_group(resource.children(), zone_name);
}

std::string info_resource(const Resource& resource, std::size_t place, std::string_view zone_name) {
    const std::string number = resource.spec().singleton ? "" : fmt::format(" {}", place);
    return fmt::format("{}{}:\n{}", resource.type(), number, indented(info_properties(resource, zone_name)));
}

std::string info_text(const zone::Config& config) {
    std::string out;
    for (const PropertySpec& spec : zone::global_specs())
        out += info_global(config, spec);
    return out + info_group(config.resources(), config.name());
}

}  // namespace kz::zonecfg
