// LiveEnvironment: zonecfg -r's view of a host: the configuration that a running zone runs with, which a
// commit changes together with the zone. For cli/zonecfg.cc.
#pragma once

#include "cli/zonecfg_environment.h"
#include "client/client.h"

namespace kz::cli {

class LiveEnvironment : public HostEnvironment {
  public:
    LiveEnvironment(store::Registry registry, client::Client client)
        : HostEnvironment(std::move(registry)), client_(std::move(client)) {}

    Result<zone::Config> load_zone(const std::string& name) override;
    // Prints what is checked and done, as it goes on.
    Result<void> save(const zone::Config& config, const std::optional<zone::Config>& stored) override;
    Result<void> remove(const std::string& name) override;

  private:
    client::Client client_;
};

}  // namespace kz::cli
