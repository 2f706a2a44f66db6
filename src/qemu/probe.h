// Probe: what the installed QEMU can do, asked over QMP of an instance without a machine. For the monitor and
// for verify.
#pragma once

#include <compare>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/deadline.h"
#include "os/paths.h"

namespace kz::qemu {

struct QemuVersion {
    unsigned major = 0;
    unsigned minor = 0;
    unsigned micro = 0;
    auto operator<=>(const QemuVersion&) const = default;
    std::string text() const;  // "7.2.22"
};

// The QEMU of Debian 12.
inline constexpr QemuVersion kQemuFloor{7, 2, 0};
inline constexpr std::string_view kDefaultQemu = "qemu-system-x86_64";

struct QemuInfo {
    Path binary;  // absolute
    QemuVersion version;
    std::vector<std::string> q35_machines;  // versioned ("pc-q35-7.2"), newest first, never empty
    std::set<std::string> cpu_models;
    std::set<std::string> commands;                // of QMP
    std::set<std::string> migration_capabilities;  // "multifd", "postcopy-ram", "mapped-ram"...
    std::set<std::string> devices;                 // types that -device knows

    const std::string& newest_q35() const { return q35_machines.front(); }
    bool has_machine(std::string_view type) const;
    bool has_command(std::string_view name) const { return commands.contains(std::string(name)); }
    bool has_migration_capability(std::string_view name) const {
        return migration_capabilities.contains(std::string(name));
    }
    bool has_device(std::string_view type) const { return devices.contains(std::string(type)); }
};

struct ProbeOptions {
    // Searched in PATH unless it holds a slash.
    Path binary = kDefaultQemu;
    // Where answers are kept between runs, in "qemu-probe.json", for as long as path, size and time of change
    // of the binary stay; empty: ask each time. A cache that cannot be read or written is no error.
    Path cache_dir = {};
    Deadline deadline = Deadline::after(std::chrono::seconds(20));
};

// Starts the binary for 0.2 to 0.5 s unless the cache knows it. Errors: Errc::not_found (no such program;
// names the package to install), Errc::unsupported (older than the floor, or no q35), else what went wrong
// with it.
Result<QemuInfo> probe_qemu(const ProbeOptions& options = {});

}  // namespace kz::qemu
