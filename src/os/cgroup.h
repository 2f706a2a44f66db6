// A cgroup v2 folder for one zone's machine, where the host has a writable hierarchy. For the monitor.
#pragma once

#include <optional>
#include <string_view>

#include "os/paths.h"

namespace kz {

class Cgroup {
  public:
    // Creates (or finds) kzones/NAME below the cgroup v2 mount. Nothing when there is none to write to: a
    // zone runs without limits then.
    static std::optional<Cgroup> create(std::string_view name);

    const Path& folder() const { return folder_; }
    // cpu.max for `cpus` whole or part CPUs; false when the controller is not there.
    bool limit_cpu(double cpus) const;
    bool limit_memory(std::uint64_t bytes) const;
    // Removes the folder; it must hold no process.
    void remove() const;

  private:
    explicit Cgroup(Path folder) : folder_(std::move(folder)) {}
    bool write(std::string_view file, std::string_view value) const;
    Path folder_;
};

}  // namespace kz
