// Logging in, and what a host says of itself and its zones.
#include <sys/sysinfo.h>

#include <thread>

#include "rad/routes.h"
#include "store/host.h"
#include "store/zone_json.h"

namespace kz::rad {
namespace {

constexpr std::string_view kVersion = KZONES_VERSION;
constexpr unsigned kApiVersion = 1;

std::uint64_t memory_bytes() {
    struct sysinfo info{};
    return ::sysinfo(&info) == 0 ? std::uint64_t{info.totalram} * info.mem_unit : 0;
}

Result<Json> describe_host(const HostPaths& paths) {
    KZ_TRY(const store::HostIdentity identity, store::host_identity(paths));
    return Json{{"version", kVersion},
                {"api", kApiVersion},
                {"id", identity.id},
                {"name", identity.name},
                {"cpus", std::thread::hardware_concurrency()},
                {"memory", memory_bytes()},
                {"features", Json::array({"live-migration", "warm-migration"})}};
}

// A user to whom single zones are delegated sees those.
Result<Json> list_zones(const HostPaths& paths, const Guard& guard, const PeerIdentity& peer) {
    KZ_TRY(const store::Registry registry, store::Registry::open(paths));
    KZ_TRY(const std::vector<store::ZoneStatus> statuses, store::list_statuses(registry));
    Json zones = Json::array();
    for (const store::ZoneStatus& each : statuses)
        if (guard.allows(peer, {Need::view, kAnyAuth}, each.name))
            zones.push_back(store::describe_zone(each));
    return Json{{"zones", std::move(zones)}};
}

Result<Json> show_zone(const HostPaths& paths, const std::string& name) {
    KZ_TRY(const store::Registry registry, store::Registry::open(paths));
    KZ_TRY(const store::ZoneStatus status, store::status_of(registry, name));
    return store::describe_zone(status);
}

}  // namespace

void add_login_route(Router& router, Guard& guard) {
    router.add("POST", "/api/1/login", {Need::anyone},
               [&guard](Request& request) { return guard.login(request); });
}

void add_host_routes(Router& router, const HostPaths& paths, const Guard& guard) {
    router.add("GET", "/api/1/host", {Need::known}, [paths](Request&) { return describe_host(paths); });
    router.add("GET", "/api/1/zones", {Need::known},
               [paths, &guard](Request& request) { return list_zones(paths, guard, request.peer); });
    router.add("GET", "/api/1/zones/{zone}", {Need::view, kAnyAuth},
               [paths](Request& request) { return show_zone(paths, request.parameters.at("zone")); });
}

}  // namespace kz::rad
