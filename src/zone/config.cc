#include "zone/config.h"

#include "zone/property.h"

namespace kz::zone {

Config::Config(std::string name) {
    for (const PropertySpec& spec : global_specs())
        if (!spec.initial.empty()) globals_.emplace(spec.name, spec.initial);
    set_name(std::move(name));
}

std::string Config::name() const {
    return global("zonename").value_or("");
}

void Config::set_name(std::string name) {
    globals_.insert_or_assign("zonename", std::move(name));
}

std::optional<std::string> Config::global(std::string_view property) const {
    const auto found = globals_.find(property);
    if (found == globals_.end()) return std::nullopt;
    return found->second;
}

Result<void> Config::set_global(std::string_view property, std::string_view text) {
    const PropertySpec* spec = find_global(property);
    if (spec == nullptr) return no_such_property(property);
    if (text.empty() && !spec->required) return clear_global(property);
    if (property == "brand" && !field_has(spec->choices, text))
        return fail(Errc::invalid_argument, "Zone {} uses non-existent brand \"{}\".  Unable to continue",
                    name(), text);
    KZ_TRY(std::string canonical, check_value(*spec, text));
    globals_.insert_or_assign(std::string(property), std::move(canonical));
    return {};
}

Result<void> Config::clear_global(std::string_view property) {
    const PropertySpec* spec = find_global(property);
    if (spec == nullptr) return no_such_property(property);
    if (spec->required) return fail(Errc::invalid_argument, "{}: {}", property, kClearDisallowed);
    globals_.erase(std::string(property));
    if (!spec->initial.empty()) globals_.emplace(property, spec->initial);
    return {};
}

const Resource* Config::find(std::string_view type) const {
    return at(type, 0);
}

const Resource* Config::at(std::string_view type, std::size_t position) const {
    const auto all = resources(type);
    return position < all.size() ? all[position] : nullptr;
}

void Config::replace(std::string_view type, std::size_t position, Resource resource) {
    if (Resource* old = find_resource_at(resources_, type, position)) *old = std::move(resource);
}

std::optional<std::string> Config::keysource_raw() const {
    const Resource* keysource = find("keysource");
    return keysource != nullptr ? keysource->get("raw") : std::nullopt;
}

Result<void> Config::set_keysource_raw(const std::string& hex) {
    Resource keysource(*find_resource("keysource"));
    KZ_CHECK(keysource.set("raw", hex));
    clear_keysource();
    add(std::move(keysource));
    return {};
}

void Config::clear_keysource() {
    while (find("keysource") != nullptr)
        remove("keysource", 0);
}

}  // namespace kz::zone
