#include "client/locked_zone.h"

#include "os/uuid.h"

namespace kz::client {
namespace {

constexpr std::chrono::seconds kLockTime{10};

}  // namespace

Result<LockedZone> LockedZone::take(const store::Registry& registry, const std::string& zone) {
    Result<store::ZoneLock> lock = registry.lock(zone, Deadline::after(kLockTime));
    if (!lock && lock.error().code() == Errc::busy)
        return fail(Errc::busy, "another command is working on the zone");
    if (!lock) return std::unexpected(std::move(lock).error());
    KZ_TRY(store::ZoneStatus status, store::status_of(registry, zone));
    return LockedZone(registry, std::move(*lock), std::move(status));
}

std::unexpected<Error> LockedZone::wrong_state(std::string_view operation) const {
    const bool wants_up = operation == "halt" || operation == "shutdown" || operation == "reboot" ||
                          operation == "suspend" || operation == "apply";
    const bool configured = status_.state == zone::State::configured;
    const bool installed = status_.state == zone::State::installed;
    if (wants_up && (configured || installed)) return fail(Errc::wrong_state, "not running");
    if (configured && operation == "uninstall")
        return fail(Errc::wrong_state, "is already in state 'configured'.");
    if (configured && (operation == "boot" || operation == "ready" || operation == "detach"))
        return fail(Errc::wrong_state, "must be installed before {}.", operation);
    if (installed && (operation == "install" || operation == "attach" || operation == "clone"))
        return fail(Errc::wrong_state, "is already installed.");
    if (status_.state == zone::State::incomplete)
        return fail(Errc::wrong_state, "zone is incomplete; uninstall required.");
    if (status_.state == zone::State::unavailable && !status_.reason.empty()) {
        return fail(Errc::unavailable, "{} operation is invalid for unavailable zones.\n{}", operation,
                    status_.reason);
    }
    return fail(Errc::wrong_state, "{} operation is invalid for {} zones.", operation,
                zone::state_name(status_.state));
}

Result<void> LockedZone::put_state(zone::State state, const std::string& reason, const zone::AuxSet& aux) {
    KZ_TRY(store::ZoneRecord record, registry_->record(lock_.zone()));
    record.state = state;
    record.reason = reason;
    record.aux = aux;
    KZ_CHECK(registry_->put_record(lock_.zone(), record));
    status_.state = state;
    return {};
}

Result<std::string> LockedZone::ensure_uuid() {
    if (!status_.uuid.empty()) return status_.uuid;
    KZ_TRY(const std::string uuid, random_uuid());
    KZ_CHECK(put_uuid(uuid));
    return status_.uuid;
}

Result<void> LockedZone::put_uuid(const std::string& uuid) {
    KZ_TRY(store::ZoneRecord record, registry_->record(lock_.zone()));
    record.uuid = uuid;
    KZ_CHECK(registry_->put_record(lock_.zone(), record));
    status_.uuid = uuid;
    return {};
}

}  // namespace kz::client
