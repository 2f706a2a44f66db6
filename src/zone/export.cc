#include "zone/export.h"

#include <algorithm>

namespace kz::zone {

namespace {

bool is_wanted(const PropertySpec& spec, bool with_secrets) {
    return with_secrets || !spec.secret;
}

void append_list(std::string& out, const PropertySpec& spec, const ListValue& list) {
    for (const ScalarValue& item : list)
        out += fmt::format("add {} {}\n", spec.name, scalar_source(item));
}

void append_resource(std::string& out, const Resource& resource, bool with_secrets) {
    const auto wanted = [&](const PropertySpec& spec) { return is_wanted(spec, with_secrets); };
    const auto properties = resource.spec().properties;
    if (std::ranges::none_of(properties, wanted)) return;
    out += fmt::format("add {}\n", resource.type());
    for (const PropertySpec& spec : properties) {
        const PropertyValue* value = resource.value(spec.name);
        if (value == nullptr || !wanted(spec)) continue;
        if (const ListValue* list = value->list())
            append_list(out, spec, *list);
        else
            out += fmt::format("set {}={}\n", spec.name, value->source());
    }
    for (const Resource& child : resource.children())
        append_resource(out, child, with_secrets);
    out += "end\n";
}

}  // namespace

std::string export_text(const Config& config, bool with_secrets) {
    std::string out = "create -b\n";
    for (const PropertySpec& spec : global_specs()) {
        const auto text = config.global(spec.name);
        if (spec.name == "zonename" || !text) continue;
        out += fmt::format("set {}={}\n", spec.name, PropertyValue(*text).source());
    }
    for (const Resource& resource : config.resources())
        append_resource(out, resource, with_secrets);
    return out;
}

}  // namespace kz::zone
