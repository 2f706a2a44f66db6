#include "client/host_zones.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "client/client.h"
#include "client/storage.h"
#include "os/deadline.h"

namespace kz::client {
namespace {

constexpr unsigned kAtOnce = 8;
constexpr std::array<std::string_view, 3> kPriorities{"high", "default", "low"};

using Teller = std::function<void(const std::string& text)>;
using Work = std::function<Result<void>(Client& client, const std::string& zone, const Teller& tell)>;

// Does the work for each zone, several at once, and counts those for which it fails.
class Crew {
  public:
    Crew(const HostPaths& paths, const std::vector<std::string>& zones, const Work& work,
         const ZoneTeller& tell)
        : paths_(paths), zones_(zones), work_(work), tell_(tell) {}

    unsigned run() {
        {
            std::vector<std::jthread> helpers;
            try {
                for (unsigned i = 1; i < std::min<std::size_t>(kAtOnce, zones_.size()); ++i)
                    helpers.emplace_back([this] { take_turns(); });
            } catch (const std::system_error&) {
                // With fewer it takes longer.
            }
            take_turns();
        }
        return failed_;
    }

  private:
    void take_turns() {
        for (std::size_t i = next_++; i < zones_.size(); i = next_++) {
            if (const Result<void> done = one(zones_[i]); !done) {
                ++failed_;
                say(zones_[i], done.error().message());
            }
        }
    }
    Result<void> one(const std::string& zone) {
        KZ_TRY(Client client, Client::open(paths_));
        return work_(client, zone, [&](const std::string& text) { say(zone, text); });
    }
    void say(const std::string& zone, const std::string& text) {
        const std::lock_guard lock(tell_mutex_);
        tell_(zone, text);
    }

    const HostPaths& paths_;
    const std::vector<std::string>& zones_;
    const Work& work_;
    const ZoneTeller& tell_;
    std::atomic<std::size_t> next_ = 0;
    std::atomic<unsigned> failed_ = 0;
    std::mutex tell_mutex_;
};

std::size_t priority_of(const zone::Config& config) {
    const std::string priority = config.global("boot-priority").value_or("default");
    const auto found = std::ranges::find(kPriorities, priority);
    return found == kPriorities.end() ? 1 : static_cast<std::size_t>(found - kPriorities.begin());
}

using Groups = std::array<std::vector<std::string>, kPriorities.size()>;

// A zone whose files cannot be read is told of when somebody asks for its state.
Result<Groups> zones_to_boot(Client& client) {
    KZ_TRY(const std::vector<store::ZoneStatus> statuses, client.statuses());
    Groups groups;
    for (const store::ZoneStatus& status : statuses) {
        if (status.state != zone::State::installed) continue;
        const Result<zone::Config> config = client.registry().load_config(status.name);
        if (config && config->autoboot()) groups[priority_of(*config)].push_back(status.name);
    }
    return groups;
}

Result<void> find_disks(const store::Registry& registry, const std::string& zone) {
    KZ_TRY(const zone::Config config, registry.load_config(zone));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(registry.paths()));
    for (const zone::Device& device : config.devices())
        KZ_CHECK(open_device(device, access));
    return {};
}

// A storage host that lost its power too is back later. A zone that was booted in vain would be unavailable
// until somebody attaches it.
void await_disks(const store::Registry& registry, const std::string& zone, Deadline deadline,
                 const Teller& tell) {
    constexpr std::chrono::seconds kLookAgain{1};
    bool told = false;
    for (Result<void> found = find_disks(registry, zone); !found && !deadline.passed();
         found = find_disks(registry, zone)) {
        if (!told) tell("it waits for its storage: " + found.error().message());
        told = true;
        std::this_thread::sleep_for(kLookAgain);
    }
}

bool is_up(const store::ZoneStatus& status) {
    return status.has_monitor || status.has_machine;
}

// By somebody else, or by itself.
bool has_ended(const Client& client, const std::string& zone) {
    const Result<store::ZoneStatus> status = client.status(zone);
    return status && !is_up(*status);
}

Result<void> end_zone(Client& client, const std::string& zone, std::chrono::seconds patience,
                      const Teller& tell) {
    const Result<zone::Config> config = client.registry().load_config(zone);
    const std::string how = config ? config->global("autoshutdown").value_or("shutdown") : "shutdown";
    if (how == "suspend") {
        const Result<void> suspended = client.suspend(zone, {});
        if (suspended || has_ended(client, zone)) return {};
        tell(fmt::format("it cannot be suspended and is shut down: {}", suspended.error().message()));
    }
    if (how != "halt") {
        const Result<void> shut_down = client.shutdown(zone, false, patience, {});
        if (shut_down || has_ended(client, zone)) return {};
        tell(fmt::format("it does not shut down and is halted: {}", shut_down.error().message()));
    }
    const Result<void> halted = client.halt(zone);
    return halted || has_ended(client, zone) ? Result<void>() : halted;
}

}  // namespace

Result<unsigned> start_host_zones(const HostPaths& paths, std::chrono::seconds patience,
                                  const ZoneTeller& tell) {
    KZ_TRY(Client client, Client::open(paths));
    KZ_TRY(const Groups groups, zones_to_boot(client));
    const Deadline deadline = Deadline::after(patience);
    const Work boot = [deadline](Client& each, const std::string& zone, const Teller& say) {
        await_disks(each.registry(), zone, deadline, say);
        return each.boot(zone, {}, {});
    };
    unsigned failed = 0;
    for (const std::vector<std::string>& group : groups)
        failed += Crew(paths, group, boot, tell).run();
    return failed;
}

Result<unsigned> stop_host_zones(const HostPaths& paths, std::chrono::seconds patience,
                                 const ZoneTeller& tell) {
    KZ_TRY(Client client, Client::open(paths));
    KZ_TRY(const std::vector<store::ZoneStatus> statuses, client.statuses());
    std::vector<std::string> running;
    for (const store::ZoneStatus& status : statuses) {
        if (is_up(status)) running.push_back(status.name);
    }
    const Work end = [patience](Client& each, const std::string& zone, const Teller& say) {
        return end_zone(each, zone, patience, say);
    };
    return Crew(paths, running, end, tell).run();
}

}  // namespace kz::client
