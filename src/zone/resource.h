// Resource: a typed set of properties of a zone ("device", "anet", ...). For zone, zonecfg and readers of a
// Config.
//
// A resource always fits its schema: set() validates, and properties with an initial value are never unset.
// What only holds for the whole resource or zone (required properties, uniqueness) is checked by
// zone/verify.h.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "zone/schema.h"
#include "zone/value.h"

namespace kz::zone {

class Resource {
  public:
    // A new resource with the initial values of its type. The row of the schema must outlive it, as the table
    // does.
    explicit Resource(const ResourceSpec& spec);

    const std::string& type() const { return type_; }
    const ResourceSpec& spec() const { return *spec_; }

    // The text of a property; nothing when it is unset. Of a list: the list in brackets.
    std::optional<std::string> get(std::string_view property) const;
    const PropertyValue* value(std::string_view property) const;
    bool has(std::string_view property) const { return value(property) != nullptr; }

    // Errors are Errc::invalid_argument, worded as zonecfg prints them: "VALUE: Invalid argument" and a line
    // that says what is expected, "NAME: No such property type". An empty value clears.
    Result<void> set(std::string_view property, const PropertyValue& value);
    Result<void> set(std::string_view property, std::string_view text);
    // Back to the initial value, else unset.
    Result<void> clear(std::string_view property);
    // Items of a list-valued property.
    Result<void> add_item(std::string_view property, const ScalarValue& item);
    Result<void> remove_item(std::string_view property, const ScalarValue& item);

    // Resources inside this one (the mac and vlan of an anet), in the order of the schema, then as added.
    const std::vector<Resource>& children() const { return children_; }
    void set_children(std::vector<Resource> children) { children_ = std::move(children); }

    bool operator==(const Resource& other) const;

  private:
    Result<void> set_list(const PropertySpec& spec, const PropertyValue& value);
    Result<void> store(const PropertySpec& spec, PropertyValue value);

    const ResourceSpec* spec_;
    std::string type_;
    std::map<std::string, PropertyValue, std::less<>> values_;
    std::vector<Resource> children_;
};

// Resources of one owner, kept grouped by type in the order of the schema: what Config and Resource share.
// Positions count within the type, from 0, as `select anet 0` does.
std::size_t insert_resource(std::vector<Resource>& all, Resource resource);
Resource* find_resource_at(std::vector<Resource>& all, std::string_view type, std::size_t position);
void erase_resource_at(std::vector<Resource>& all, std::string_view type, std::size_t position);
std::vector<const Resource*> resources_of(const std::vector<Resource>& all, std::string_view type);

}  // namespace kz::zone
