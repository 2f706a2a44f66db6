// HostPaths: where a host keeps its things, below a root that -R or KZONES_ROOT moves (tests run many "hosts"
// on one machine). For every floor that touches the host's files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kz {

using Path = std::filesystem::path;

class HostPaths {
  public:
    // root "/" is the machine itself.
    explicit HostPaths(Path root) : root_(std::move(root)) {}
    // The root given by option -R when not empty, else by KZONES_ROOT, else "/". It must be absolute.
    static Result<HostPaths> from_environment(std::string_view root_option);

    const Path& root() const { return root_; }
    Path etc_zones() const { return root_ / "etc/zones"; }
    Path keys_dir() const { return etc_zones() / "keys"; }
    Path config_file(std::string_view zone) const { return etc_zones() / (std::string(zone) + ".cfg"); }
    Path key_file(std::string_view zone) const { return keys_dir() / zone; }
    Path rad_dir() const { return etc_zones() / "rad"; }
    // State that outlives a boot of the host.
    Path zones_dir() const { return root_ / "var/lib/zones"; }
    Path zone_dir(std::string_view zone) const { return zones_dir() / zone; }
    Path cache_dir() const { return root_ / "var/cache/zones"; }
    Path log_dir() const { return root_ / "var/log/zones"; }
    // Sockets, locks and what describes running processes.
    Path run_dir() const { return root_ / "run/zones"; }
    Path zone_run_dir(std::string_view zone) const { return run_dir() / zone; }
    Path control_socket(std::string_view zone) const { return zone_run_dir(zone) / "control.sock"; }
    Path console_socket(std::string_view zone) const { return zone_run_dir(zone) / "console.sock"; }
    Path migrd_socket() const { return run_dir() / "migrd.sock"; }

    // Read-only files shipped with the product (manifests, templates, guest programs): the share/kzones
    // beside the running program's bin folder. Not below root.
    static Path share();
    // A program of kzones that sits beside the running one, such as "zoneadmd".
    static Path program(std::string_view name);

  private:
    Path root_;
};

}  // namespace kz
