// The typed answers of Config.
#include <algorithm>
#include <limits>
#include <tuple>

#include "base/text.h"
#include "zone/config.h"
#include "zone/pattern.h"

namespace kz::zone {

namespace {

constexpr std::uint64_t kDefaultMemory = std::uint64_t{4} << 30;

// The schema has checked the digits already.
std::optional<unsigned> number(const Resource& resource, std::string_view property) {
    const auto value = parse_u64(resource.get(property).value_or(""));
    if (!value) return std::nullopt;
    return static_cast<unsigned>(*value);
}

std::string text(const Resource& resource, std::string_view property) {
    return resource.get(property).value_or("");
}

// The low end of "2-4".
std::string_view low_end(std::string_view range) {
    return range.substr(0, range.find('-'));
}

}  // namespace

std::string Config::brand() const {
    return global("brand").value_or("");
}

bool Config::autoboot() const {
    return global("autoboot") == "true";
}

std::string Config::bootargs() const {
    return global("bootargs").value_or("");
}

std::string Config::hostid() const {
    return global("hostid").value_or("");
}

std::string Config::accel() const {
    return global("accel").value_or("auto");
}

std::string Config::machine() const {
    return global("machine").value_or("");
}

bool Config::uefi() const {
    return global("firmware") == "uefi";
}

std::string Config::kernel() const {
    return global("kernel").value_or("");
}

std::string Config::initrd() const {
    return global("initrd").value_or("");
}

std::string Config::cpu_arch() const {
    return global("cpu-arch").value_or("");
}

std::uint64_t Config::memory_bytes() const {
    const Resource* memory = find("capped-memory");
    if (memory == nullptr || !memory->has("physical")) return kDefaultMemory;
    return parse_size(*memory->get("physical")).value_or(kDefaultMemory);
}

unsigned Config::cpu_count() const {
    if (const Resource* cpu = find("virtual-cpu")) return number(*cpu, "ncpus").value_or(1);
    const Resource* dedicated = find("dedicated-cpu");
    if (dedicated == nullptr) return 1;
    const std::string ncpus = text(*dedicated, "ncpus");
    return static_cast<unsigned>(parse_u64(low_end(ncpus)).value_or(1));
}

std::vector<Device> Config::devices() const {
    std::vector<Device> all;
    for (const Resource* resource : resources("device")) {
        Device device{.id = number(*resource, "id").value_or(0),
                      .storage = effective_value(*resource, "storage", name()),
                      .bootpri = number(*resource, "bootpri"),
                      .match = text(*resource, "match")};
        if (device.storage.empty() && !device.match.empty()) device.storage = "dev:" + device.match;
        all.push_back(std::move(device));
    }
    std::ranges::sort(all, {}, [](const Device& device) {
        return std::tuple(device.bootpri.value_or(std::numeric_limits<unsigned>::max()), device.id);
    });
    return all;
}

std::vector<Anet> Config::anets() const {
    std::vector<Anet> all;
    for (const Resource* resource : resources("anet")) {
        all.push_back({.id = number(*resource, "id").value_or(0),
                       .lower_link = text(*resource, "lower-link"),
                       .mac_address = text(*resource, "mac-address"),
                       .allowed_address = text(*resource, "allowed-address"),
                       .configure_allowed_address = text(*resource, "configure-allowed-address") == "true",
                       .defrouter = text(*resource, "defrouter"),
                       .link_protection = text(*resource, "link-protection"),
                       .maxbw = text(*resource, "maxbw"),
                       .vlan_id = number(*resource, "vlan-id"),
                       .mtu = number(*resource, "mtu")});
    }
    std::ranges::sort(all, {}, &Anet::id);
    return all;
}

std::optional<Suspend> Config::suspend() const {
    const Resource* resource = find("suspend");
    if (resource == nullptr) return std::nullopt;
    return Suspend{.path = text(*resource, "path"), .storage = text(*resource, "storage")};
}

}  // namespace kz::zone
