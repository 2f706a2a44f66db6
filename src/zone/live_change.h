// Live changes: what of a running zone can be made as another configuration says, and how. Pure. For the
// monitor, which carries it out, and for those who send or keep the configuration of a zone that runs.
//
// A zone that runs has a configuration of its own, the live one, which begins as the stored one. The
// machine's part of it (machine_part()) is what the machine was built of; the rest has no meaning to QEMU and
// is simply taken over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "zone/config.h"

namespace kz::zone {

// What the machine can be made into while it runs.
struct LiveLimits {
    std::uint64_t boot_memory = 0;  // bytes that it was booted with; there is never more
    bool has_balloon = false;       // memory can change at all
    unsigned max_cpus = 1;
    bool cpus_leave = false;  // processors can be taken away, too
    unsigned disk_ports = 0;  // ids of devices are below
    unsigned nic_ports = 0;   // and of anets
};

struct LiveChange {
    enum class Kind { remove_device = 1, remove_anet, rewire_anet, add_device, add_anet, memory, cpus };
    Kind kind;
    unsigned id = 0;          // of the device or anet
    std::uint64_t value = 0;  // bytes of memory, or the number of CPUs
    std::string text;         // "Adding device storage=file:///d1"
    bool operator==(const LiveChange&) const = default;
};

struct LivePlan {
    std::vector<LiveChange> changes;  // in this order
    // What only the next boot brings: "capped-memory physical=8G: ...why".
    std::vector<std::string> later;
    // What must not be: nothing may be changed then.
    std::vector<std::string> errors;
    bool operator==(const LivePlan&) const = default;
};

// From the live configuration to the wanted one.
LivePlan plan_live_changes(const Config& live, const Config& wanted, const LiveLimits& limits);

// Whether there is the device or anet that the change is about.
bool has_subject(const Config& config, const LiveChange& change);
// The live configuration after one of the plan's changes.
Config with_change(const Config& live, const Config& wanted, const LiveChange& change);
// After all of them: what does not concern the machine is as wanted too.
Config with_other_properties(const Config& live, const Config& wanted);

// A configuration of the zone's name with only what the machine is made of; without secrets.
Config machine_part(const Config& config);
// `config` with the machine's part of another.
Config with_machine_part(const Config& config, const Config& part);

// "4G", "4.75G", "512M": for messages.
std::string rounded_size(std::uint64_t bytes);

}  // namespace kz::zone
