// HostEnvironment: zonecfg's view of a host: its registry of zones, files, the terminal. For cli/zonecfg.cc.
#pragma once

#include <string>
#include <string_view>

#include "store/registry.h"
#include "zonecfg/environment.h"

namespace kz::cli {

class HostEnvironment : public zonecfg::Environment {
  public:
    // Questions are asked when stdin is a terminal.
    explicit HostEnvironment(store::Registry registry);

    Result<zone::Config> load_zone(const std::string& name) override;
    Result<zone::Config> load_template(const std::string& name) override;
    Result<zone::Config> load_file(const std::string& path, const std::string& zone_name) override;
    std::vector<std::string> template_names() override;
    std::optional<zone::State> state(const std::string& name) override;
    Result<void> save(const zone::Config& config, const std::optional<zone::Config>& stored) override;
    Result<void> remove(const std::string& name) override;
    Result<void> write_file(const std::string& path, std::string_view text) override;
    bool may_write() override;
    Result<void> check_storage(std::string_view text) override;
    std::uint32_t random_hostid() override;
    std::optional<bool> ask(std::string_view question) override;
    void out(std::string_view text) override;
    void err(std::string_view text) override;

  protected:
    const store::Registry& registry() const { return registry_; }

  private:
    Result<void> check_unchanged(const std::string& name, const std::optional<zone::Config>& stored);

    store::Registry registry_;
    bool may_write_;
};

}  // namespace kz::cli
