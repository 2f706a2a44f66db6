// What a host says of itself and its zones.
#include <sys/sysinfo.h>

#include <thread>

#include "rad/radd.h"
#include "store/host.h"
#include "store/registry.h"
#include "store/status.h"

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

Json describe_zone(const store::ZoneStatus& status) {
    Json auxiliary = Json::array();
    for (const zone::Aux each : status.aux)
        auxiliary.push_back(zone::aux_name(each));
    Json zone{{"name", status.name},
              {"uuid", status.uuid},
              {"brand", status.brand},
              {"state", zone::state_name(status.state)},
              {"auxiliary", std::move(auxiliary)}};
    if (status.id) zone["id"] = *status.id;
    if (!status.reason.empty()) zone["reason"] = status.reason;
    return zone;
}

Result<Json> list_zones(const HostPaths& paths) {
    KZ_TRY(const store::Registry registry, store::Registry::open(paths));
    KZ_TRY(const std::vector<store::ZoneStatus> statuses, store::list_statuses(registry));
    Json zones = Json::array();
    for (const store::ZoneStatus& each : statuses)
        zones.push_back(describe_zone(each));
    return Json{{"zones", std::move(zones)}};
}

Result<Json> show_zone(const HostPaths& paths, const std::string& name) {
    KZ_TRY(const store::Registry registry, store::Registry::open(paths));
    KZ_TRY(const store::ZoneStatus status, store::status_of(registry, name));
    return describe_zone(status);
}

}  // namespace

void add_host_routes(Router& router, const HostPaths& paths) {
    router.add("GET", "/api/1/host", [paths](Request&) { return describe_host(paths); });
    router.add("GET", "/api/1/zones", [paths](Request&) { return list_zones(paths); });
    router.add("GET", "/api/1/zones/{zone}",
               [paths](Request& request) { return show_zone(paths, request.parameters.at("zone")); });
}

}  // namespace kz::rad
