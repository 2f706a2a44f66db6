#include "zone/resource.h"

#include <algorithm>

#include "zone/property.h"

namespace kz::zone {

Resource::Resource(const ResourceSpec& spec) : spec_(&spec), type_(spec.type) {
    for (const PropertySpec& property : spec.properties)
        if (!property.initial.empty())
            values_.emplace(property.name, PropertyValue(std::string(property.initial)));
}

const PropertyValue* Resource::value(std::string_view property) const {
    const auto found = values_.find(property);
    return found == values_.end() ? nullptr : &found->second;
}

std::optional<std::string> Resource::get(std::string_view property) const {
    const PropertyValue* found = value(property);
    if (found == nullptr) return std::nullopt;
    return found->display();
}

Result<void> Resource::set(std::string_view property, std::string_view text) {
    return set(property, PropertyValue(std::string(text)));
}

Result<void> Resource::set(std::string_view property, const PropertyValue& value) {
    const PropertySpec* spec = find_property(*spec_, property);
    if (spec == nullptr) return no_such_property(property);
    if (spec->shape != Shape::simple) return set_list(*spec, value);
    const std::string* text = value.simple();
    if (text == nullptr) return invalid_value(*spec, value.source());
    if (text->empty()) return clear(property);
    KZ_TRY(std::string canonical, check_value(*spec, *text));
    return store(*spec, PropertyValue(std::move(canonical)));
}

Result<void> Resource::set_list(const PropertySpec& spec, const PropertyValue& value) {
    ListValue items;
    if (const ListValue* list = value.list())
        items = *list;
    else if (const ComplexValue* complex = value.complex())
        items.emplace_back(*complex);
    else if (!value.simple()->empty())
        items.emplace_back(*value.simple());
    Resource changed = *this;
    changed.values_.erase(std::string(spec.name));
    for (const ScalarValue& item : items)
        KZ_CHECK(changed.add_item(spec.name, item));
    *this = std::move(changed);
    return {};
}

Result<void> Resource::store(const PropertySpec& spec, PropertyValue value) {
    for (const std::string& other : field_words(spec.excludes)) {
        if (has(other))
            return fail(Errc::invalid_argument, "{}: {}\n{} and {} exclude each other; clear {} first.",
                        spec.name, kInvalidArgument, spec.name, other, other);
    }
    for (const std::string& other : field_words(spec.replaces))
        values_.erase(other);
    values_.insert_or_assign(std::string(spec.name), std::move(value));
    return {};
}

Result<void> Resource::clear(std::string_view property) {
    const PropertySpec* spec = find_property(*spec_, property);
    if (spec == nullptr) return no_such_property(property);
    values_.erase(std::string(property));
    if (!spec->initial.empty()) values_.emplace(property, PropertyValue(std::string(spec->initial)));
    return {};
}

Result<void> Resource::add_item(std::string_view property, const ScalarValue& item) {
    constexpr std::size_t kMaxItems = 256;
    const PropertySpec* spec = find_property(*spec_, property);
    if (spec == nullptr) return no_such_property(property);
    const auto* text = std::get_if<std::string>(&item);
    const bool fits = (text != nullptr) == (spec->shape == Shape::list);
    const bool empty = text != nullptr && text->empty();
    if (spec->shape == Shape::simple || !fits || empty) return invalid_value(*spec, scalar_source(item));
    KZ_TRY(std::string canonical, check_value(*spec, text != nullptr ? *text : scalar_source(item)));
    ListValue items = has(property) ? *value(property)->list() : ListValue{};
    const ScalarValue stored = text != nullptr ? ScalarValue(canonical) : item;
    if (std::ranges::find(items, stored) != items.end() || items.size() == kMaxItems)
        return invalid_value(*spec, scalar_source(item));
    items.push_back(stored);
    return store(*spec, PropertyValue(std::move(items)));
}

Result<void> Resource::remove_item(std::string_view property, const ScalarValue& item) {
    const PropertySpec* spec = find_property(*spec_, property);
    if (spec == nullptr) return no_such_property(property);
    if (spec->shape == Shape::simple) return invalid_value(*spec, scalar_source(item));
    ListValue items = has(property) ? *value(property)->list() : ListValue{};
    const auto found = std::ranges::find(items, item);
    if (found == items.end()) return fail(Errc::not_found, "{}: {}", scalar_source(item), kNoSuchPropertyId);
    items.erase(found);
    if (items.empty()) return clear(property);
    return store(*spec, PropertyValue(std::move(items)));
}

bool Resource::operator==(const Resource& other) const {
    return type_ == other.type_ && values_ == other.values_ && children_ == other.children_;
}

std::size_t insert_resource(std::vector<Resource>& all, Resource resource) {
    const std::size_t rank = resource_rank(resource.type());
    const auto later = [&](const Resource& other) { return resource_rank(other.type()) > rank; };
    const std::size_t position = resources_of(all, resource.type()).size();
    all.insert(std::ranges::find_if(all, later), std::move(resource));
    return position;
}

namespace {

template <typename Resources>
auto locate(Resources& all, std::string_view type, std::size_t position) {
    auto at = std::ranges::find(all, type, &Resource::type);
    // Resources of one type stand together.
    const auto left = static_cast<std::size_t>(all.end() - at);
    if (position >= left) return all.end();
    at += static_cast<std::ptrdiff_t>(position);
    return at->type() == type ? at : all.end();
}

}  // namespace

Resource* find_resource_at(std::vector<Resource>& all, std::string_view type, std::size_t position) {
    const auto at = locate(all, type, position);
    return at == all.end() ? nullptr : &*at;
}

void erase_resource_at(std::vector<Resource>& all, std::string_view type, std::size_t position) {
    const auto at = locate(all, type, position);
    if (at != all.end()) all.erase(at);
}

std::vector<const Resource*> resources_of(const std::vector<Resource>& all, std::string_view type) {
    std::vector<const Resource*> found;
    for (const Resource& resource : all)
        if (resource.type() == type) found.push_back(&resource);
    return found;
}

}  // namespace kz::zone
