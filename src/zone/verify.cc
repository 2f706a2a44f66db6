#include "zone/verify.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "zone/names.h"
#include "zone/pattern.h"

namespace kz::zone {

namespace {

// "device 0" where there may be several, "suspend" where not.
std::string label(const Resource& resource) {
    const std::string& type = resource.type();
    if (resource.spec().singleton) return type;
    const auto key = field_words(resource.spec().unique).front();
    return fmt::format("{} {}", type, resource.get(key).value_or("?"));
}

bool fits_attr_type(const Resource& attr) {
    const std::string type = attr.get("type").value_or("");
    const std::string value = attr.get("value").value_or("");
    if (type == "boolean") return value == "true" || value == "false";
    if (type == "uint") return parse_u64(value).has_value();
    if (type == "int") return parse_u64(value.starts_with('-') ? value.substr(1) : value).has_value();
    return true;
}

// What to say of a property or type that does nothing; empty for one that does something.
template <typename Spec>
std::string_view idleness(const Spec& spec) {
    if (spec.no_effect) return "without effect on Linux";
    return spec.not_applied ? "not applied by this version" : "";
}

void note_if_idle(const std::string& where, const PropertySpec& spec, const std::optional<std::string>& value,
                  Report& report) {
    const std::string_view idle = idleness(spec);
    if (!idle.empty() && value && *value != spec.initial)
        report.notes.push_back(fmt::format("{}{}: {}", where, spec.name, idle));
}

void verify_tree(const Resource& resource, Report& report) {
    const std::string where = label(resource);
    for (const std::string& error : verify_resource(resource))
        report.errors.push_back(fmt::format("{}: {}", where, error));
    if (const std::string_view idle = idleness(resource.spec()); !idle.empty()) {
        report.notes.push_back(fmt::format("{}: {}", where, idle));
        return;
    }
    for (const PropertySpec& spec : resource.spec().properties)
        note_if_idle(where + ": ", spec, resource.get(spec.name), report);
    for (const Resource& child : resource.children())
        verify_tree(child, report);
}

void verify_collisions(const Config& config, Report& report) {
    std::vector<const Resource*> before;
    for (const Resource& resource : config.resources()) {
        if (const auto collision = find_collision(resource, before, config.name()))
            report.errors.push_back(*collision);
        before.push_back(&resource);
    }
}

void verify_macs(const Config& config, Report& report) {
    std::set<std::string> seen;
    for (const Anet& anet : config.anets())
        if (anet.mac_address != "auto" && !seen.insert(anet.mac_address).second)
            report.errors.push_back(fmt::format("anet {}: mac-address {} is already used by another anet.",
                                                anet.id, anet.mac_address));
}

void verify_exclusions(const Config& config, Report& report) {
    const auto exclude = [&](bool both, std::string_view one, std::string_view other) {
        if (both) report.errors.push_back(fmt::format("{} and {} exclude each other.", one, other));
    };
    const bool dedicated = config.find("dedicated-cpu") != nullptr;
    exclude(dedicated && config.global("pool"), "pool", "dedicated-cpu");
    exclude(dedicated && config.global("cpu-shares"), "cpu-shares", "dedicated-cpu");
    exclude(dedicated && config.find("capped-cpu") != nullptr, "capped-cpu", "dedicated-cpu");
    if (!config.initrd().empty() && config.kernel().empty())
        report.errors.push_back(
            fmt::format("kernel: {}\ninitrd is set, and is only used with kernel.", kRequiredMissing));
}

// The image of a zone's memory on a disk of the same zone would destroy that disk.
void verify_suspend(const Config& config, Report& report) {
    const auto suspend = config.suspend();
    if (!suspend) return;
    for (const Device& device : config.devices()) {
        const bool same_storage = !suspend->storage.empty() && suspend->storage == device.storage;
        const bool same_path = !suspend->path.empty() && (device.storage == "dev:" + suspend->path ||
                                                          device.storage == "file://" + suspend->path);
        if (same_storage || same_path)
            report.errors.push_back(fmt::format("suspend: {} is the storage of device {}.",
                                                same_storage ? suspend->storage : suspend->path, device.id));
    }
}

}  // namespace

std::vector<std::string> verify_resource(const Resource& resource) {
    std::vector<std::string> errors;
    const ResourceSpec& spec = resource.spec();
    const auto alternatives = field_words(spec.one_of);
    const auto is_set = [&](const std::string& property) { return resource.has(property); };
    if (!alternatives.empty() && std::ranges::none_of(alternatives, is_set))
        errors.emplace_back(spec.one_of_message);
    for (const PropertySpec& property : spec.properties)
        if (property.required && !resource.has(property.name))
            errors.push_back(fmt::format("{}: {}", property.name, kRequiredMissing));
    if (errors.empty() && resource.type() == "attr" && !fits_attr_type(resource))
        errors.push_back(fmt::format("{}: {}\nvalue must be of type {}.", *resource.get("value"),
                                     kInvalidArgument, *resource.get("type")));
    return errors;
}

std::optional<std::string> find_collision(const Resource& resource,
                                          const std::vector<const Resource*>& others,
                                          std::string_view zone_name) {
    const ResourceSpec& spec = resource.spec();
    for (const Resource* other : others) {
        if (other->type() != resource.type()) continue;
        if (spec.singleton) return fmt::format("The {} resource already exists.", spec.type);
        for (const std::string& property : field_words(spec.unique)) {
            const std::string value = effective_value(resource, property, zone_name);
            if (!value.empty() && value == effective_value(*other, property, zone_name))
                return fmt::format("A {} resource with the {} '{}' already exists.", spec.type, property,
                                   value);
        }
    }
    return std::nullopt;
}

Report verify(const Config& config) {
    Report report;
    if (!is_valid_zone_name(config.name()))
        report.errors.push_back(fmt::format("{}: {}", config.name(), kBogusZoneName));
    for (const PropertySpec& spec : global_specs())
        note_if_idle("", spec, config.global(spec.name), report);
    for (const Resource& resource : config.resources())
        verify_tree(resource, report);
    verify_collisions(config, report);
    verify_exclusions(config, report);
    verify_macs(config, report);
    verify_suspend(config, report);
    return report;
}

}  // namespace kz::zone
