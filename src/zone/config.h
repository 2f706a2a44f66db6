// Config: the configuration of a zone, a plain value. For every floor above zone.
//
// Global properties and resources as zonecfg knows them, and typed answers for those who build a machine of
// it. A Config always fits the schema (zone/schema.h), property by property; zone/verify.h checks the whole.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "zone/resource.h"

namespace kz::zone {

// A disk of the zone.
struct Device {
    unsigned id = 0;
    std::string storage;  // the SURI, patterns expanded; "dev:PATH" for a device given by match
    std::optional<unsigned> bootpri;
    std::string match;  // empty when given by storage
};

// A network interface of the zone. Empty text: not specified.
struct Anet {
    unsigned id = 0;
    std::string lower_link;
    std::string mac_address;  // "auto" or six hexadecimal octets in lower case
    std::string allowed_address;
    bool configure_allowed_address = true;
    std::string defrouter;
    std::string link_protection;
    std::string maxbw;
    std::optional<unsigned> vlan_id;
    std::optional<unsigned> mtu;
};

// Where suspend images go: exactly one of the two is set in a verified configuration.
struct Suspend {
    std::string path;
    std::string storage;
};

class Config {
  public:
    // What `create -b` makes: only the initial values of the schema.
    explicit Config(std::string name = {});

    std::string name() const;
    void set_name(std::string name);

    // Global properties, "zonename" and "brand" among them. Errors as of Resource::set().
    std::optional<std::string> global(std::string_view property) const;
    Result<void> set_global(std::string_view property, std::string_view text);
    Result<void> clear_global(std::string_view property);

    const std::vector<Resource>& resources() const { return resources_; }
    std::vector<const Resource*> resources(std::string_view type) const {
        return resources_of(resources_, type);
    }
    // The first of the type, nullptr when there is none.
    const Resource* find(std::string_view type) const;
    const Resource* at(std::string_view type, std::size_t position) const;
    // Returns the position within the type.
    std::size_t add(Resource resource) { return insert_resource(resources_, std::move(resource)); }
    void replace(std::string_view type, std::size_t position, Resource resource);
    void remove(std::string_view type, std::size_t position) {
        erase_resource_at(resources_, type, position);
    }

    std::string brand() const;
    bool autoboot() const;
    std::string bootargs() const;
    std::string hostid() const;
    std::uint64_t memory_bytes() const;  // capped-memory:physical, else 4 GiB
    unsigned cpu_count() const;          // virtual-cpu, else the low end of dedicated-cpu, else 1
    std::string accel() const;           // auto, kvm or tcg
    std::string machine() const;         // these four: empty when unset
    std::string kernel() const;
    std::string initrd() const;
    std::string cpu_arch() const;
    bool uefi() const;  // the firmware; else BIOS

    // In boot order: by bootpri, then id; those without bootpri follow by id.
    std::vector<Device> devices() const;
    // By id.
    std::vector<Anet> anets() const;
    std::optional<Suspend> suspend() const;

    // The zone's key in hexadecimal. set checks nothing but that it is hexadecimal.
    std::optional<std::string> keysource_raw() const;
    Result<void> set_keysource_raw(const std::string& hex);
    void clear_keysource();

    bool operator==(const Config&) const = default;

  private:
    std::map<std::string, std::string, std::less<>> globals_;
    std::vector<Resource> resources_;
};

// One line for each property that is not the same in both: "device 0: storage: 'dev:/dev/sda' and
// 'dev:/dev/sdb'". The value of a secret is never shown nor compared.
std::vector<std::string> differences(const Config& a, const Config& b);

// Only what a running machine is made of and must be alike on both hosts of a migration: memory, processors,
// devices and networks.
std::vector<std::string> machine_differences(const Config& a, const Config& b);

}  // namespace kz::zone
