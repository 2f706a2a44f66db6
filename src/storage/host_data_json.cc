// The body of the host data: HostData as JSON and back.
#include "storage/host_data_slot.h"

namespace kz::storage {
namespace {

Result<Owner> parse_owner(const Json& object) {
    Owner owner;
    KZ_TRY(owner.host_id, json_text(object, "host_id"));
    KZ_TRY(owner.host_name, json_text(object, "host_name"));
    return owner;
}

Json owner_json(const Owner& owner) {
    return {{"host_id", owner.host_id}, {"host_name", owner.host_name}};
}

Result<SuspendRecord> parse_suspend(const Json& object) {
    SuspendRecord record;
    KZ_TRY(record.image_id, json_text(object, "image_id"));
    KZ_TRY(record.location, json_text(object, "location"));
    KZ_TRY(record.created, json_text(object, "created"));
    return record;
}

Result<Handover> parse_handover(const Json& object) {
    Handover handover;
    KZ_TRY(handover.migration_id, json_text(object, "migration_id"));
    KZ_TRY(const Json* to, json_optional_object(object, "to"));
    if (to == nullptr) return fail(Errc::corrupt, "field 'to' is missing");
    KZ_TRY(handover.to, parse_owner(*to));
    KZ_TRY(handover.phase, json_text(object, "phase"));
    return handover;
}

// Longer than any settings allow is damage.
Result<Milliseconds> parse_interval(const Json& object, std::string_view key) {
    KZ_TRY(const std::uint64_t count, json_u64(object, key));
    constexpr auto kLongest = std::chrono::duration_cast<Milliseconds>(std::chrono::hours(24));
    if (count > static_cast<std::uint64_t>(kLongest.count()))
        return fail(Errc::corrupt, "field '{}' is longer than a day", key);
    return Milliseconds(count);
}

Result<OwnerLease> parse_lease(const Json& object) {
    OwnerLease lease;
    KZ_TRY(lease.renew, parse_interval(object, "renew"));
    KZ_TRY(lease.pause, parse_interval(object, "pause"));
    KZ_TRY(lease.fence, parse_interval(object, "fence"));
    return lease;
}

Result<Claim> parse_claim(const Json& object) {
    Claim claim;
    KZ_TRY(claim.by, parse_owner(object));
    KZ_TRY(claim.nonce, json_text(object, "nonce"));
    return claim;
}

// A part of the body that may be missing.
template <typename T>
Result<std::optional<T>> parse_part(const Json& body, std::string_view key, Result<T> (*parse)(const Json&)) {
    KZ_TRY(const Json* object, json_optional_object(body, key));
    if (object == nullptr) return std::nullopt;
    KZ_TRY_CONTEXT(T part, parse(*object), key);
    return part;
}

constexpr std::string_view kKnownKeys[] = {"zone_uuid",   "epoch",       "owner",   "state",
                                           "heartbeat",   "last_update", "suspend", "handover",
                                           "owned_since", "lease",       "claim"};

}  // namespace

Result<HostData> parse_host_data(std::string_view body) {
    KZ_TRY(Json object, parse_json(body));
    if (!object.is_object()) return fail(Errc::corrupt, "not a JSON object");
    HostData data;
    KZ_TRY(data.zone_uuid, json_text(object, "zone_uuid"));
    KZ_TRY(data.epoch, json_u64(object, "epoch"));
    KZ_TRY(data.state, json_text(object, "state"));
    KZ_TRY(data.heartbeat, json_u64(object, "heartbeat"));
    KZ_TRY(data.last_update, json_text(object, "last_update"));
    KZ_TRY(data.owner, parse_part(object, "owner", parse_owner));
    KZ_TRY(data.suspend, parse_part(object, "suspend", parse_suspend));
    KZ_TRY(data.handover, parse_part(object, "handover", parse_handover));
    KZ_TRY(std::optional<std::string> since, json_optional_text(object, "owned_since"));
    data.owned_since = std::move(since).value_or("");
    KZ_TRY(data.lease, parse_part(object, "lease", parse_lease));
    KZ_TRY(data.claim, parse_part(object, "claim", parse_claim));
    for (const std::string_view key : kKnownKeys)
        object.erase(key);
    data.other = std::move(object);
    return data;
}

std::string render_host_data(const HostData& data) {
    Json body = data.other;
    body["zone_uuid"] = data.zone_uuid;
    body["epoch"] = data.epoch;
    body["state"] = data.state;
    body["heartbeat"] = data.heartbeat;
    body["last_update"] = data.last_update;
    if (data.owner) body["owner"] = owner_json(*data.owner);
    if (data.suspend) {
        body["suspend"] = {{"image_id", data.suspend->image_id},
                           {"location", data.suspend->location},
                           {"created", data.suspend->created}};
    }
    if (data.handover) {
        body["handover"] = {{"migration_id", data.handover->migration_id},
                            {"to", owner_json(data.handover->to)},
                            {"phase", data.handover->phase}};
    }
    if (!data.owned_since.empty()) body["owned_since"] = data.owned_since;
    if (data.lease) {
        body["lease"] = {{"renew", data.lease->renew.count()},
                         {"pause", data.lease->pause.count()},
                         {"fence", data.lease->fence.count()}};
    }
    if (data.claim) {
        body["claim"] = owner_json(data.claim->by);
        body["claim"]["nonce"] = data.claim->nonce;
    }
    return render_json(body);
}

}  // namespace kz::storage
