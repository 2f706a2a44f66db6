// Environment: what a zonecfg session needs of the world. Implemented by cli on a host's registry, and by
// tests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "zone/config.h"
#include "zone/state.h"

namespace kz::zonecfg {

class Environment {
  public:
    Environment() = default;
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;
    virtual ~Environment() = default;

    // The stored configuration, its key included. Errors: Errc::not_found when the zone has none.
    virtual Result<zone::Config> load_zone(const std::string& name) = 0;
    // A template or a zone to copy. Errors: Errc::not_found.
    virtual Result<zone::Config> load_template(const std::string& name) = 0;
    // An exported configuration.
    virtual Result<zone::Config> load_file(const std::string& path, const std::string& zone_name) = 0;
    virtual std::vector<std::string> template_names() = 0;

    // The state of a zone; nothing when there is no such zone.
    virtual std::optional<zone::State> state(const std::string& name) = 0;

    // Stores a configuration in the place of `stored`, whose name it may change. Errors: Errc::busy when what
    // is stored is no longer `stored` (nothing: no such zone), so that nobody's change is lost.
    virtual Result<void> save(const zone::Config& config, const std::optional<zone::Config>& stored) = 0;
    // Errors: Errc::wrong_state when the zone is installed by now.
    virtual Result<void> remove(const std::string& name) = 0;
    // For `export -f`: readable by its owner only, since it holds the zone's key.
    virtual Result<void> write_file(const std::string& path, std::string_view text) = 0;
    virtual bool may_write() = 0;

    // Whether `text` is a storage URI, its patterns expanded. Errors: Errc::invalid_argument, "position N:
    // ...".
    virtual Result<void> check_storage(std::string_view text) = 0;
    virtual std::uint32_t random_hostid() = 0;
    // "QUESTION (y/[n])? " on the terminal; nothing when there is none.
    virtual std::optional<bool> ask(std::string_view question) = 0;
    virtual void out(std::string_view text) = 0;
    virtual void err(std::string_view text) = 0;
};

}  // namespace kz::zonecfg
