#include "client/disk_move.h"

#include "client/disk_move_offer.h"
#include "migrate/offer_gather.h"

namespace kz::client {
namespace {

constexpr std::chrono::seconds kCallTime{60};
// Resuming reads a whole image.
constexpr std::chrono::minutes kStartTime{10};

}  // namespace

Result<DiskMove> DiskMove::begin(const store::Registry& registry, const std::string& zone,
                                 const std::string& uuid, migrate::MoveKind kind, bool dry_run,
                                 migrate::Peer& peer, const Reporter& reporter) {
    KZ_TRY(zone::Config config, registry.load_config(zone));
    KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry, config));
    KZ_TRY(const storage::HostData data, disk.read_owned(uuid));
    KZ_TRY(migrate::Offer offer, make_disk_offer(registry, config, kind, disk, data));
    offer.dry_run = dry_run;
    return DiskMove(zone, registry.paths(), std::move(config), std::move(offer), std::move(disk), peer,
                    reporter);
}

// What undoes, and what comes after the commit, is not cancelled.
Result<Json> DiskMove::call(std::string_view method, std::string_view step, const Json& body,
                            std::chrono::seconds timeout) {
    const bool cancellable = method != "DELETE" && !committed_;
    return peer_.call(method, target_ + std::string(step), body, timeout,
                      cancellable ? reporter_.cancel_fd : -1);
}

Result<void> DiskMove::check() {
    migrate::Answer answer;
    answer.times.sent_ms = migrate::utc_milliseconds();
    KZ_TRY(const Json accepted, call("POST", "", offer_.to_json(), kCallTime));
    answer.times.answered_ms = migrate::utc_milliseconds();
    KZ_TRY(acceptance_, migrate::Acceptance::from_json(accepted));
    answer.acceptance = acceptance_;
    return migrate::settle_checks({config_, paths_, disk_}, offer_, answer,
                                  [this](const std::string& text) { reporter_.say(text); });
}

Result<void> DiskMove::prepare() {
    KZ_CHECK(check());
    reporter_.say(acceptance_.has_configuration ? "Using existing zone configuration on destination."
                                                : "Importing zone configuration.");
    KZ_CHECK(call("POST", "/configure", Json::object(), kCallTime));
    reporter_.say("Attaching zone.");
    KZ_CHECK(call("POST", "/attach", Json::object(), kCallTime));
    return {};
}

Result<void> DiskMove::commit() {
    if (const Result<void> written = disk_.hand_to(acceptance_.destination, "installed"); !written) {
        const Result<storage::HostData> settled = disk_.settle();
        if (!settled) {
            return std::unexpected(
                Error(written.error())
                    .append("the storage does not tell whether the zone has moved; once it answers, 'attach' "
                            "on either host says who owns it"));
        }
        if (settled->owner != acceptance_.destination) return written;
    }
    committed_ = true;
    return {};
}

Result<void> DiskMove::adopt() {
    KZ_CHECK(call("POST", "/adopt", Json::object(), kCallTime));
    return {};
}

Result<void> DiskMove::start() {
    KZ_CHECK(call("POST", "/start", Json::object(), kStartTime));
    return {};
}

void DiskMove::undo() {
    reporter_.say("Cleaning up.");
    // A destination that does not hear it cleans up when the connection ends.
    [[maybe_unused]] const Result<Json> undone = call("DELETE", "", nullptr, kCallTime);
}

}  // namespace kz::client
