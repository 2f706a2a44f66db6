// How a disk becomes this host's.
#include "base/log.h"
#include "storage/lease_claim.h"
#include "store/boot_disk_parts.h"

namespace kz::store {

using storage::HostData;
using storage::Milliseconds;

namespace {

HostData new_host_data(const std::string& zone_uuid, std::string_view state, storage::Owner owner) {
    HostData data;
    data.zone_uuid = zone_uuid;
    data.last_update = utc_timestamp();
    data.change_owner(std::move(owner), data.last_update);
    data.state = state;
    return data;
}

}  // namespace

std::string in_use_message(const std::string& zone, const HostData& data,
                           std::optional<Milliseconds> seen_ago) {
    if (!data.owner) {
        return fmt::format("zone {} is being attached by host {} (hostid {})", zone,
                           data.claim ? data.claim->by.host_name : "?",
                           data.claim ? data.claim->by.host_id : "?");
    }
    std::string more;
    if (!data.owned_since.empty()) more += fmt::format("           owned since: {}\n", data.owned_since);
    if (seen_ago) {
        const auto seconds = std::chrono::ceil<std::chrono::seconds>(*seen_ago).count();
        more += fmt::format("             heartbeat: seen {} s ago\n", seconds);
    }
    return fmt::format(
        "ERROR: zone {0} is in use by host with hostid {1}\n"
        "      last known state: {2}\n"
        "              hostname: {3}\n"
        "      last update time: {4}\n"
        "{5}"
        "To fix, detach the zone from the other host then attach it to this host\n"
        "If the zone is not active on another host, attach it with\n"
        "   zoneadm -z {0} attach -x force-takeover",
        zone, data.owner->host_id, data.state, data.owner->host_name, data.last_update, more);
}

storage::Taking BootDisk::taking(const TakeOptions& options) {
    return {.volume = *parts_->volume,
            .area = parts_->area,
            .self = parts_->host.as_owner(),
            .timings = parts_->timings,
            .clock = parts_->clock,
            .cancel_fd = options.cancel_fd,
            .progress = options.progress};
}

Result<HostData> BootDisk::accept(Result<storage::Taken> taken) const {
    if (!taken) return std::unexpected(std::move(taken).error());
    if (taken->refused) {
        return fail(Errc::unavailable, "{}",
                    in_use_message(parts_->zone, taken->refused->data, taken->refused->seen_ago));
    }
    const std::lock_guard turn(parts_->turn);
    parts_->known = taken->data;
    return std::move(taken->data);
}

Result<HostData> BootDisk::take(const TakeOptions& options) {
    KZ_TRY(HostData found, read());
    if (!found.owner) return accept(storage::claim_unowned(taking(options)));
    if (parts_->host.owns(*found.owner)) {
        if (found.claim) return accept(storage::settle_ownership(taking(options)));
        found.handover.reset();
        found.change_owner(parts_->host.as_owner(), utc_timestamp());
        const std::lock_guard turn(parts_->turn);
        KZ_CHECK(write_in_turn(found));
        return read_in_turn();
    }
    if (!options.by_force) return fail(Errc::unavailable, "{}", in_use_message(parts_->zone, found));
    Result<storage::HostDataRead> basis = parts_->area.read();
    if (!basis) return std::unexpected(std::move(basis).error());
    if (basis->data != found) return fail(Errc::busy, "another host is changing the host data");
    return accept(storage::take_over(taking(options), *basis));
}

Result<void> BootDisk::initialize(const std::string& zone_uuid, std::string_view state) {
    const std::lock_guard turn(parts_->turn);
    HostData data = new_host_data(zone_uuid, state, parts_->host.as_owner());
    KZ_CHECK(parts_->area.initialize(data));
    parts_->known = std::move(data);
    return {};
}

Result<std::optional<HostData>> BootDisk::reinitialize(const std::string& zone_uuid, std::string_view state,
                                                       const TakeOptions& options) {
    using Kind = storage::HostDataProbe::Kind;
    KZ_TRY(const storage::HostDataProbe found, storage::HostDataArea::probe(volume()));
    const std::optional<HostData>& before = found.unverified;
    const bool nobodys = found.kind == Kind::blank || (before && !before->owner && !before->claim) ||
                         (before && before->owner && parts_->host.owns(*before->owner) && !before->claim);
    if (nobodys) {
        KZ_CHECK(initialize(zone_uuid, state));
        return before;
    }
    const storage::Taking mine = taking(options);
    KZ_TRY(const storage::Watched watched,
           watch_host_data(mine, found, storage::watch_span(before, parts_->timings)));
    if (watched.changed) {
        const std::optional<HostData>& alive = watched.last.unverified ? watched.last.unverified : before;
        if (alive)
            return fail(Errc::unavailable, "{}", in_use_message(parts_->zone, *alive, watched.change_age));
        return fail(Errc::unavailable, "another host is writing the host data of zone {}", parts_->zone);
    }
    HostData next = new_host_data(zone_uuid, state, parts_->host.as_owner());
    KZ_TRY(next.claim, storage::make_claim(parts_->host.as_owner()));
    KZ_CHECK(parts_->area.initialize(next));
    KZ_CHECK(accept(storage::settle_ownership(mine)));
    return before;
}

}  // namespace kz::store
