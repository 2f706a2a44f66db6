#include "store/status.h"

#include "zone/names.h"

namespace kz::store {
namespace {

// What only a running machine has.
void merge_runtime(ZoneStatus& status, const RuntimeRecord& runtime) {
    status.has_monitor = is_alive(runtime.monitor);
    status.has_machine = is_alive(runtime.qemu);
    if (!status.has_monitor && !status.has_machine) return;
    status.id = runtime.zone_id;
    status.state = runtime.state;
    status.aux = runtime.aux;
    status.reason.clear();
}

// What the guest says is no more than shown: a report that cannot be read is as good as none.
void merge_guest(ZoneStatus& status, const HostPaths& paths) {
    if (!status.has_machine || !status.has_monitor) return;
    Result<GuestReport> report = load_guest_report(paths, status.name);
    if (report) status.guest = std::move(*report);
}

Result<void> merge_config(ZoneStatus& status, const Registry& registry) {
    if (!registry.has_config(status.name)) {
        status.state = zone::State::incomplete;
        status.aux.insert(zone::Aux::no_config);
        return {};
    }
    KZ_TRY(const zone::Config config, registry.load_config(status.name));
    status.brand = config.brand();
    return {};
}

}  // namespace

Result<ZoneStatus> status_of(const Registry& registry, std::string_view name) {
    if (!registry.exists(name)) return fail(Errc::not_found, "{}", zone::kNoSuchZone);
    ZoneStatus status;
    status.name = name;
    KZ_TRY(ZoneRecord record, registry.record(name));
    status.state = record.state;
    status.aux = record.aux;
    status.uuid = std::move(record.uuid);
    status.reason = std::move(record.reason);
    KZ_CHECK(merge_config(status, registry));
    const Result<RuntimeRecord> runtime = load_runtime(registry.paths(), name);
    if (runtime)
        merge_runtime(status, *runtime);
    else if (runtime.error().code() != Errc::not_found)
        return std::unexpected(runtime.error());
    merge_guest(status, registry.paths());
    return status;
}

Result<std::vector<ZoneStatus>> list_statuses(const Registry& registry) {
    KZ_TRY(const std::vector<std::string> names, registry.names());
    std::vector<ZoneStatus> statuses;
    statuses.reserve(names.size());
    for (const std::string& name : names) {
        Result<ZoneStatus> status = status_of(registry, name);
        if (status) {
            statuses.push_back(*std::move(status));
        } else if (status.error().code() != Errc::not_found) {  // else it was deleted just now
            ZoneStatus damaged;
            damaged.name = name;
            damaged.state = zone::State::unavailable;
            damaged.reason = status.error().message();
            statuses.push_back(std::move(damaged));
        }
    }
    return statuses;
}

}  // namespace kz::store
