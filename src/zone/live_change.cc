#include "zone/live_change.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace kz::zone {
namespace {

using Kind = LiveChange::Kind;

constexpr std::array<std::string_view, 8> kMachineGlobals{"hostid",  "bootargs", "cpu-arch", "accel",
                                                          "machine", "firmware", "kernel",   "initrd"};
constexpr std::array<std::string_view, 6> kMachineTypes{"anet",        "net",           "device",
                                                        "virtual-cpu", "dedicated-cpu", "capped-memory"};
// Of an anet: what the host does with its wire. The rest is the guest's device, or has no effect.
constexpr std::array<std::string_view, 5> kWireProperties{"lower-link", "vlan-id", "maxbw", "link-protection",
                                                          "allowed-address"};
constexpr std::array<std::string_view, 2> kNicProperties{"mac-address", "mtu"};

template <typename Each>
const Each* with_id(const std::vector<Each>& all, unsigned id) {
    const auto found = std::ranges::find(all, id, &Each::id);
    return found == all.end() ? nullptr : &*found;
}

std::optional<std::size_t> position_of(const Config& config, std::string_view type, unsigned id) {
    const auto all = config.resources(type);
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (parse_u64(all[i]->get("id").value_or("")) == id) return i;
    }
    return std::nullopt;
}

const Resource* resource_of(const Config& config, std::string_view type, unsigned id) {
    const auto position = position_of(config, type, id);
    return position ? config.at(type, *position) : nullptr;
}

std::string shown(const std::optional<std::string>& value) {
    return value.value_or("");
}

// The properties of that list which differ: " lower-link=br1 vlan-id=10".
template <typename Names>
std::string changed_properties(const Resource& before, const Resource& after, const Names& names) {
    std::string text;
    for (const std::string_view name : names)
        if (before.get(name) != after.get(name)) text += fmt::format(" {}={}", name, shown(after.get(name)));
    return text;
}

std::string device_text(std::string_view verb, const Device& device) {
    return device.match.empty() ? fmt::format("{} device storage={}", verb, device.storage)
                                : fmt::format("{} device match={}", verb, device.match);
}

class Planner {
  public:
    Planner(const Config& live, const Config& wanted, const LiveLimits& limits)
        : live_(live), wanted_(wanted), limits_(limits) {}

    LivePlan plan() {
        compare_boot_disk();
        compare_globals();
        compare_devices();
        compare_anets();
        compare_memory();
        compare_cpus();
        return std::move(plan_);
    }

  private:
    void change(Kind kind, unsigned id, std::uint64_t value, std::string text) {
        const auto behind = std::ranges::upper_bound(plan_.changes, kind, {}, &LiveChange::kind);
        plan_.changes.insert(behind, {kind, id, value, std::move(text)});
    }
    void later(std::string text) { plan_.later.push_back(std::move(text)); }

    void compare_boot_disk();
    void compare_globals();
    void compare_devices();
    void add_device(const Device& device);
    void compare_anets();
    void compare_anet(unsigned id);
    void compare_memory();
    void compare_cpus();

    const Config& live_;
    const Config& wanted_;
    const LiveLimits& limits_;
    LivePlan plan_;
};

// Host data are on it, by which the zone is owned.
void Planner::compare_boot_disk() {
    const std::vector<Device> now = live_.devices();
    const std::vector<Device> then = wanted_.devices();
    if (now.empty()) return;
    const bool same =
        !then.empty() && then.front().id == now.front().id && then.front().storage == now.front().storage;
    if (!same)
        plan_.errors.push_back(
            fmt::format("device {}: the disk that the zone boots from cannot be another one while it runs",
                        now.front().id));
}

void Planner::compare_globals() {
    for (const std::string_view name : kMachineGlobals)
        if (live_.global(name) != wanted_.global(name))
            later(fmt::format("{}={}: not while the zone runs", name, shown(wanted_.global(name))));
}

void Planner::add_device(const Device& device) {
    if (device.id >= limits_.disk_ports)
        return later(fmt::format("device {}: the running machine has room for ids 0 to {}", device.id,
                                 limits_.disk_ports - 1));
    change(Kind::add_device, device.id, 0, device_text("Adding", device));
}

void Planner::compare_devices() {
    const std::vector<Device> now = live_.devices();
    const std::vector<Device> then = wanted_.devices();
    for (const Device& device : now) {
        const Device* const kept = with_id(then, device.id);
        if (kept != nullptr && kept->storage == device.storage) {
            if (kept->bootpri != device.bootpri)
                later(fmt::format("device {}: bootpri: not while the zone runs", device.id));
            continue;
        }
        change(Kind::remove_device, device.id, 0, device_text("Removing", device));
    }
    for (const Device& device : then) {
        const Device* const before = with_id(now, device.id);
        if (before == nullptr || before->storage != device.storage) add_device(device);
    }
}

void Planner::compare_anet(unsigned id) {
    const Resource& before = *resource_of(live_, "anet", id);
    const Resource& after = *resource_of(wanted_, "anet", id);
    if (const std::string fixed = changed_properties(before, after, kNicProperties); !fixed.empty())
        later(fmt::format("anet {}:{}: not while the anet is there", id, fixed));
    if (const std::string wire = changed_properties(before, after, kWireProperties); !wire.empty())
        change(Kind::rewire_anet, id, 0, fmt::format("Modifying anet id={}{}", id, wire));
}

void Planner::compare_anets() {
    const std::vector<Anet> now = live_.anets();
    const std::vector<Anet> then = wanted_.anets();
    for (const Anet& anet : now) {
        if (with_id(then, anet.id) == nullptr)
            change(Kind::remove_anet, anet.id, 0, fmt::format("Removing anet id={}", anet.id));
        else
            compare_anet(anet.id);
    }
    for (const Anet& anet : then) {
        if (with_id(now, anet.id) != nullptr) continue;
        if (anet.id >= limits_.nic_ports)
            later(fmt::format("anet {}: the running machine has room for ids 0 to {}", anet.id,
                              limits_.nic_ports - 1));
        else
            change(Kind::add_anet, anet.id, 0, fmt::format("Adding anet id={}", anet.id));
    }
}

void Planner::compare_memory() {
    const std::uint64_t wanted = wanted_.memory_bytes();
    if (wanted == live_.memory_bytes()) return;
    const std::string what = "capped-memory physical=" + render_size(wanted);
    if (!limits_.has_balloon)
        later(what + ": the machine was started by a version that could not change it");
    else if (wanted > limits_.boot_memory)
        later(fmt::format("{}: more than the {} that the zone was booted with", what,
                          rounded_size(limits_.boot_memory)));
    else
        change(Kind::memory, 0, wanted, "Modifying " + what);
}

void Planner::compare_cpus() {
    const unsigned wanted = wanted_.cpu_count();
    if (wanted == live_.cpu_count()) return;
    const std::string what = fmt::format("virtual-cpu ncpus={}", wanted);
    if (wanted > limits_.max_cpus)
        later(fmt::format("{}: the running machine has room for {}", what, limits_.max_cpus));
    else if (wanted < live_.cpu_count() && !limits_.cpus_leave)
        later(what + ": processors can be taken from a running zone under KVM only");
    else
        change(Kind::cpus, 0, wanted, "Modifying " + what);
}

// The resources of that type become the wanted ones.
void take_resources(Config& config, const Config& wanted, std::string_view type) {
    for (std::size_t count = config.resources(type).size(); count > 0; --count)
        config.remove(type, count - 1);
    for (const Resource* const each : wanted.resources(type))
        config.add(*each);
}

void take_resource(Config& config, const Config& wanted, std::string_view type, unsigned id) {
    if (const auto position = position_of(config, type, id)) config.remove(type, *position);
    if (const Resource* const then = resource_of(wanted, type, id)) config.add(*then);
}

// Both sides know the name; a value that the schema took once it takes again.
void take_global(Config& config, std::string_view name, const std::optional<std::string>& value) {
    [[maybe_unused]] const Result<void> taken =
        value ? config.set_global(name, *value) : config.clear_global(name);
}

// Only the wire of it: the guest's device stays what it is.
Config with_wire(const Config& live, const Config& wanted, unsigned id) {
    Config config = live;
    const auto position = position_of(config, "anet", id);
    const Resource* const then = resource_of(wanted, "anet", id);
    if (!position || then == nullptr) return config;
    Resource anet = *config.at("anet", *position);
    for (const std::string_view name : kWireProperties) {
        [[maybe_unused]] const Result<void> taken =
            then->has(name) ? anet.set(name, *then->value(name)) : anet.clear(name);
    }
    config.replace("anet", *position, std::move(anet));
    return config;
}

Config with_singleton(const Config& live, std::string_view type, std::string_view property,
                      const std::string& value) {
    Config config = live;
    Resource resource = config.find(type) != nullptr ? *config.find(type) : Resource(*find_resource(type));
    [[maybe_unused]] const Result<void> taken = resource.set(property, value);
    if (config.find(type) != nullptr)
        config.replace(type, 0, std::move(resource));
    else
        config.add(std::move(resource));
    return config;
}

}  // namespace

bool has_subject(const Config& config, const LiveChange& change) {
    const bool device = change.kind == Kind::add_device || change.kind == Kind::remove_device;
    return position_of(config, device ? "device" : "anet", change.id).has_value();
}

LivePlan plan_live_changes(const Config& live, const Config& wanted, const LiveLimits& limits) {
    return Planner(live, wanted, limits).plan();
}

Config with_change(const Config& live, const Config& wanted, const LiveChange& change) {
    Config config = live;
    switch (change.kind) {
        case Kind::remove_device:
            config.remove("device", *position_of(live, "device", change.id));
            break;
        case Kind::remove_anet:
            config.remove("anet", *position_of(live, "anet", change.id));
            break;
        case Kind::add_device:
            take_resource(config, wanted, "device", change.id);
            break;
        case Kind::add_anet:
            take_resource(config, wanted, "anet", change.id);
            break;
        case Kind::rewire_anet:
            return with_wire(live, wanted, change.id);
        case Kind::memory:
            return with_singleton(live, "capped-memory", "physical", std::to_string(change.value));
        case Kind::cpus:
            return with_singleton(live, "virtual-cpu", "ncpus", std::to_string(change.value));
    }
    return config;
}

Config with_other_properties(const Config& live, const Config& wanted) {
    return with_machine_part(wanted, live);
}

Config machine_part(const Config& config) {
    return with_machine_part(Config(config.name()), config);
}

Config with_machine_part(const Config& config, const Config& part) {
    Config result = config;
    for (const std::string_view name : kMachineGlobals)
        take_global(result, name, part.global(name));
    for (const std::string_view type : kMachineTypes)
        take_resources(result, part, type);
    return result;
}

std::string rounded_size(std::uint64_t bytes) {
    constexpr std::uint64_t kGiB = 1ULL << 30;
    if (bytes < kGiB) return fmt::format("{}M", bytes >> 20);
    std::string text = fmt::format("{:.2f}", static_cast<double>(bytes) / static_cast<double>(kGiB));
    while (text.ends_with('0'))
        text.pop_back();
    if (text.ends_with('.')) text.pop_back();
    return text + "G";
}

}  // namespace kz::zone
