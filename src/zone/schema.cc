#include "zone/schema.h"

#include <algorithm>

#include "base/text.h"

namespace kz::zone {

namespace {

template <typename Span, typename Name>
auto* find_row(const Span& rows, std::string_view name, Name member) {
    const auto found = std::ranges::find(rows, name, member);
    return found == rows.end() ? nullptr : &*found;
}

}  // namespace

const PropertySpec* find_global(std::string_view name) {
    return find_row(global_specs(), name, &PropertySpec::name);
}

const ResourceSpec* find_resource(std::string_view type) {
    return find_row(resource_specs(), type, &ResourceSpec::type);
}

const PropertySpec* find_property(const ResourceSpec& resource, std::string_view name) {
    return find_row(resource.properties, name, &PropertySpec::name);
}

std::size_t resource_rank(std::string_view type) {
    const auto rows = resource_specs();
    return static_cast<std::size_t>(std::ranges::find(rows, type, &ResourceSpec::type) - rows.begin());
}

std::vector<const ResourceSpec*> child_specs(std::string_view parent) {
    std::vector<const ResourceSpec*> children;
    for (const ResourceSpec& spec : resource_specs())
        if (spec.parent == parent) children.push_back(&spec);
    return children;
}

bool field_has(std::string_view field, std::string_view item) {
    const auto words = field_words(field);
    return std::ranges::find(words, item) != words.end();
}

std::vector<std::string> field_words(std::string_view field) {
    return field.empty() ? std::vector<std::string>{} : split(field, '|');
}

}  // namespace kz::zone
