#include <algorithm>
#include <array>
#include <set>

#include "zone/config.h"
#include "zone/pattern.h"

namespace kz::zone {

namespace {

std::string shown(const std::optional<std::string>& value) {
    return value && !value->empty() ? "'" + *value + "'" : "not specified";
}

// One side of a comparison: a resource and the zone that expands its patterns.
struct Side {
    const Resource* resource;
    std::string zone_name;
};

std::optional<std::string> value_of(const Side& side, const PropertySpec& spec) {
    const std::string text = effective_value(*side.resource, spec.name, side.zone_name);
    return text.empty() ? std::nullopt : std::optional(text);
}

void compare(const std::string& label, const Side& a, const Side& b, std::vector<std::string>& out);

// The values that tell resources of one type from each other, by which both sides are paired.
std::string key_of(const Resource& resource) {
    const auto words = field_words(resource.spec().unique);
    return words.empty() ? std::string{} : resource.get(words.front()).value_or("");
}

std::string label_of(const std::string& outer, const Resource& resource) {
    const std::string key = key_of(resource);
    return outer + resource.type() + (key.empty() ? "" : " " + key);
}

struct Group {
    const std::vector<Resource>* resources;
    std::string zone_name;

    const Resource* partner_of(const Resource& other) const {
        const auto same = [&](const Resource& r) {
            return r.type() == other.type() && key_of(r) == key_of(other);
        };
        const auto found = std::ranges::find_if(*resources, same);
        return found == resources->end() ? nullptr : &*found;
    }
};

template <typename Wanted>
void compare_groups(const std::string& outer, const Group& a, const Group& b, Wanted wanted,
                    std::vector<std::string>& out) {
    for (const Resource& resource : *a.resources) {
        if (!wanted(resource.type())) continue;
        const std::string label = label_of(outer, resource);
        if (const Resource* partner = b.partner_of(resource))
            compare(label, {&resource, a.zone_name}, {partner, b.zone_name}, out);
        else
            out.push_back(label + ": only in the first");
    }
    for (const Resource& resource : *b.resources)
        if (wanted(resource.type()) && a.partner_of(resource) == nullptr)
            out.push_back(label_of(outer, resource) + ": only in the second");
}

void compare(const std::string& label, const Side& a, const Side& b, std::vector<std::string>& out) {
    for (const PropertySpec& spec : a.resource->spec().properties) {
        // A pattern is compared by what it expands to.
        const bool is_pattern = spec.name == "storage.template";
        if (spec.secret || is_pattern) continue;
        const auto left = value_of(a, spec);
        const auto right = value_of(b, spec);
        if (left != right)
            out.push_back(fmt::format("{}: {}: {} and {}", label, spec.name, shown(left), shown(right)));
    }
    compare_groups(
        label + ": ", {&a.resource->children(), a.zone_name}, {&b.resource->children(), b.zone_name},
        [](const std::string&) { return true; }, out);
}

void compare_globals(const Config& a, const Config& b, std::vector<std::string>& out) {
    for (const PropertySpec& spec : global_specs()) {
        const auto left = a.global(spec.name);
        const auto right = b.global(spec.name);
        if (left != right) out.push_back(fmt::format("{}: {} and {}", spec.name, shown(left), shown(right)));
    }
}

}  // namespace

std::vector<std::string> differences(const Config& a, const Config& b) {
    std::vector<std::string> out;
    compare_globals(a, b, out);
    compare_groups(
        "", {&a.resources(), a.name()}, {&b.resources(), b.name()}, [](const std::string&) { return true; },
        out);
    return out;
}

std::vector<std::string> machine_differences(const Config& a, const Config& b) {
    static constexpr std::array kTypes{"anet", "net", "device"};
    std::vector<std::string> out;
    if (a.memory_bytes() != b.memory_bytes())
        out.push_back(
            fmt::format("capped-memory: physical: {} and {} bytes", a.memory_bytes(), b.memory_bytes()));
    if (a.cpu_count() != b.cpu_count())
        out.push_back(fmt::format("virtual-cpu: ncpus: {} and {}", a.cpu_count(), b.cpu_count()));
    compare_groups(
        "", {&a.resources(), a.name()}, {&b.resources(), b.name()},
        [](const std::string& type) { return std::ranges::find(kTypes, type) != kTypes.end(); }, out);
    return out;
}

}  // namespace kz::zone
