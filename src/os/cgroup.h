// A cgroup v2 folder for one zone's machine, where the host has a writable hierarchy. For the monitor.
#pragma once

#include <optional>
#include <string_view>

#include "os/paths.h"

namespace kz {

class Cgroup {
  public:
    // Creates (or finds) kzones/NAME below the cgroup v2 mount. Nothing when there is none to write to: a
    // zone runs without one of its own then.
    static std::optional<Cgroup> create(std::string_view name);

    const Path& folder() const { return folder_; }
    // Removes the folder; it must hold no process.
    void remove() const;

  private:
    explicit Cgroup(Path folder) : folder_(std::move(folder)) {}
    Path folder_;
};

}  // namespace kz
