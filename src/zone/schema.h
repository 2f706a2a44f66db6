// Schema: the one table of everything a configuration may hold. For zone, zonecfg and whoever documents it.
//
// Validation, defaults, `info`, `export`, `verify`, `help` and tab completion are all read from here; a new
// property or resource type is a new row of schema.cc and nothing else.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kz::zone {

struct PropertySpec;

// Why a value was refused: the offending text (an item of a comma list, else the whole value).
struct BadValue {
    std::string offending;
};

// The value in its canonical form ("4096M" becomes "4G").
using Checked = std::expected<std::string, BadValue>;
using Check = Checked (*)(const PropertySpec& spec, std::string_view value);

enum class Shape {
    simple = 1,
    list,          // of simple values
    complex_list,  // of complex values
};

enum class Show {
    always = 1,  // `info` says "not specified" when it is unset
    when_set,
};

struct PropertySpec {
    std::string_view name;
    Shape shape = Shape::simple;
    Check check = nullptr;
    // What a value looks like, to end the sentence "NAME must be ...".
    std::string_view hint = {};
    // Words to choose from, separated by '|': the whole range for check_choice(s), else only for completion.
    std::string_view choices = {};
    // The value a new resource or zone starts with, and that clear restores. Empty: none, may be unset.
    std::string_view initial = {};
    Show show = Show::when_set;
    bool required = false;
    bool secret = false;
    // Kept for compatibility; Linux has no use for it.
    bool no_effect = false;
    // Means something on Linux, but nothing in this version acts on it: whoever makes it work takes this
    // away.
    bool not_applied = false;
    // `info` leaves it out while the named property is set.
    std::string_view hidden_by = {};
    // Its value, when unset itself, is the expansion of the named property (zone/pattern.h).
    std::string_view expands = {};
    // Properties of the same resource of which only one may be set; separated by '|'.
    std::string_view excludes = {};
    // Properties that setting this one takes the place of.
    std::string_view replaces = {};
};

struct ResourceSpec {
    std::string_view type;
    std::span<const PropertySpec> properties;
    // The type whose resources hold this one; empty for the zone itself.
    std::string_view parent = {};
    bool singleton = false;
    bool no_effect = false;
    bool not_applied = false;
    // What tells resources of this type from each other: unique within the zone (or the parent), separated by
    // '|'.
    std::string_view unique = {};
    // At least one of these must be set; separated by '|'. What to say when none is.
    std::string_view one_of = {};
    std::string_view one_of_message = {};
    std::string_view help = {};
};

inline constexpr std::string_view kBrand = "linux-kz";
// The original's brand, accepted as another name of ours.
inline constexpr std::string_view kBrandAlias = "solaris-kz";

// In the order of `info` and `export`. zonename is the first.
std::span<const PropertySpec> global_specs();
std::span<const ResourceSpec> resource_specs();

const PropertySpec* find_global(std::string_view name);
const ResourceSpec* find_resource(std::string_view type);
const PropertySpec* find_property(const ResourceSpec& resource, std::string_view name);
// Where a type stands in resource_specs(); unknown types come last.
std::size_t resource_rank(std::string_view type);
// The types that may be added to a resource of this type (to the zone itself when empty).
std::vector<const ResourceSpec*> child_specs(std::string_view parent);
// True when the table has `item` among the words of a '|'-separated field.
bool field_has(std::string_view field, std::string_view item);
// The words of a '|'-separated field.
std::vector<std::string> field_words(std::string_view field);

}  // namespace kz::zone
