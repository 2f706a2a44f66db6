#include "client/incoming_move.h"

#include <unistd.h>

#include <thread>

#include "client/destination_checks.h"
#include "client/locked_zone.h"
#include "client/storage.h"
#include "migrate/checks.h"
#include "migrate/image_machine.h"
#include "os/process.h"
#include "store/boot_disk.h"
#include "store/journal.h"
#include "zone/names.h"
#include "zonecfg/parse_export.h"

namespace kz::client {
namespace {

// An error here speaks of this host to somebody at another.
std::unexpected<Error> refuse(const std::string& text) {
    return fail(Errc::wrong_state, "destination: {}", text);
}

// Whether the zone was left by a move that nobody goes on with. Under its lock.
bool is_stale_import(const store::Registry& registry, const std::string& zone,
                     const store::ZoneStatus& status) {
    const Result<store::ZoneRecord> record = registry.record(zone);
    if (!record || !record->import || record->state != zone::State::configured) return false;
    if (status.has_monitor || status.has_machine || store::is_alive(record->import->receiver)) return false;
    if (!registry.has_config(zone)) return true;
    const Result<zone::Config> config = registry.load_config(zone);
    const Result<store::HostIdentity> host = store::host_identity(registry.paths());
    if (!config || !host) return false;
    const auto look = [&]() -> Result<storage::HostData> {
        KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry, *config));
        return disk.read();
    };
    const Result<storage::HostData> data = look();
    return data && data->owner && !host->owns(*data->owner);
}

// True when something was removed.
bool remove_stale_import(const store::Registry& registry, const std::string& zone) {
    const Result<store::ZoneRecord> record = registry.record(zone);
    if (!record || !record->import) return false;
    const Result<LockedZone> locked = LockedZone::take(registry, zone);
    if (!locked || !is_stale_import(registry, zone, locked->status())) return false;
    return registry.remove(zone).has_value();
}

}  // namespace

std::vector<std::string> remove_stale_imports(const store::Registry& registry) {
    std::vector<std::string> removed;
    for (const std::string& zone : registry.names().value_or(std::vector<std::string>{}))
        if (remove_stale_import(registry, zone)) removed.push_back(zone);
    return removed;
}

Result<std::unique_ptr<IncomingMove>> IncomingMove::begin(Client& client, std::string zone,
                                                          migrate::Offer offer) {
    const std::uint64_t received = migrate::utc_milliseconds();
    remove_stale_import(client.registry(), zone);
    KZ_TRY_CONTEXT(zone::Config config, zonecfg::parse_export(offer.configuration, zone),
                   "destination: the zone's configuration");
    KZ_TRY_CONTEXT(const zone::Config live, migrate::with_live_part(config, offer.live),
                   "destination: the running zone's configuration");
    std::unique_ptr<IncomingMove> move(
        new IncomingMove(client, std::move(zone), std::move(offer), std::move(config)));
    move->received_ms_ = received;
    const migrate::HostFacts facts = gather_host_facts(client.registry(), move->zone_, move->offer_, live);
    move->qemu_version_ = facts.qemu_version;
    move->findings_ = migrate::check_move(move->offer_, live, move->config_, facts);
    return move;
}

Result<migrate::Acceptance> IncomingMove::acceptance() const {
    KZ_TRY(const store::HostIdentity host, store::host_identity(client_.paths()));
    migrate::Acceptance acceptance;
    acceptance.destination = host.as_owner();
    acceptance.has_configuration = client_.registry().exists(zone_);
    acceptance.cpus = std::max(1U, std::thread::hardware_concurrency());
    acceptance.qemu_version = qemu_version_;
    acceptance.ciphers = migrate::cipher_names();
    acceptance.findings = findings_;
    acceptance.received_ms = received_ms_;
    acceptance.answered_ms = migrate::utc_milliseconds();
    return acceptance;
}

Result<void> IncomingMove::require(Step step) const {
    if (step_ == step) return {};
    return fail(Errc::wrong_state, "the steps of the migration came out of order");
}

Result<Json> IncomingMove::link() {
    KZ_CHECK(require(Step::offered));
    link_.reset();
    KZ_TRY_CONTEXT(link_, migrate::LinkSink::open(client_.paths(), offer_.cipher), "destination");
    return link_->session().to_json();
}

// The mark comes first: whatever is there after a crash is known for what it is.
Result<void> IncomingMove::import_configuration() {
    KZ_TRY(const ProcessIdentity self, identify_process(::getpid()));
    store::ZoneRecord record;
    record.import = store::ImportMark{offer_.migration_id, self};
    KZ_CHECK(client_.registry().put_record(zone_, record));
    return client_.registry().save_config(config_);
}

Result<Json> IncomingMove::configure() {
    KZ_CHECK(require(Step::offered));
    if (!findings_.errors.empty()) return refuse("the checks before the migration have failed");
    link_.reset();
    KZ_TRY(const auto lock, client_.registry().lock(zone_, Deadline::after(std::chrono::seconds(10))));
    imported_ = !client_.registry().exists(zone_);
    if (imported_) KZ_CHECK_CONTEXT(import_configuration(), "destination: configuration failed");
    step_ = Step::configured;
    return Json{{"imported", imported_}};
}

Result<Json> IncomingMove::attach() {
    KZ_CHECK(require(Step::configured));
    KZ_TRY(LockedZone locked, LockedZone::take(client_.registry(), zone_));
    if (!client_.registry().keysource(zone_)) KZ_CHECK(client_.registry().save_config(config_));
    KZ_TRY_CONTEXT(store::BootDisk disk, store::BootDisk::open(client_.registry(), config_), "destination");
    KZ_TRY_CONTEXT(const storage::HostData data, disk.read(), "destination: the zone's disk");
    if (data.zone_uuid != offer_.zone_uuid)
        return refuse("the disk of that name there belongs to another zone");
    if (!data.owner || !data.owner->same_host(offer_.source))
        return refuse(
            "host data on the disk there does not name the source as owner: it is not the same volume");
    KZ_CHECK(locked.put_uuid(data.zone_uuid));
    step_ = Step::attached;
    return Json::object();
}

Result<Json> IncomingMove::ask(std::string_view operation, Json request, int cancel_fd) {
    Reporter reporter;
    reporter.cancel_fd = cancel_fd;
    Result<Json> answer = client_.ask_monitor(zone_, operation, std::move(request), reporter);
    if (!answer) return std::unexpected(std::move(answer).error().context("destination"));
    return answer;
}

Result<Json> IncomingMove::boot(unsigned connections) {
    KZ_CHECK(require(Step::attached));
    KZ_CHECK_CONTEXT(client_.start_incoming(zone_), "destination");
    step_ = Step::booted;
    Json request{{"machine_type", offer_.machine_type}, {"accel", offer_.accel},
                 {"connections", connections},          {"cipher", crypto::cipher_name(offer_.cipher)},
                 {"source", offer_.source.host_name},   {"post_copy", offer_.post_copy},
                 {"migration_id", offer_.migration_id}};
    if (!offer_.live.empty()) request["live"] = offer_.live;
    if (offer_.shape) request["shape"] = offer_.shape->to_json();
    return ask("incoming-boot", std::move(request));
}

Result<Json> IncomingMove::loaded(int cancel_fd) {
    KZ_CHECK(require(Step::booted));
    return ask("incoming-loaded", Json::object(), cancel_fd);
}

Result<Json> IncomingMove::resume(const Json& request) {
    KZ_CHECK(require(Step::booted));
    KZ_TRY(Json answer, ask("incoming-resume", request.is_object() ? request : Json::object()));
    step_ = Step::done;
    return answer;
}

Result<Json> IncomingMove::adopt() {
    KZ_CHECK(require(Step::attached));
    KZ_TRY(LockedZone locked, LockedZone::take(client_.registry(), zone_));
    KZ_TRY(const storage::HostData data, check_ownership(client_.registry(), config_, offer_.zone_uuid));
    zone::AuxSet aux;
    if (data.suspend) aux.insert(zone::Aux::suspended);
    KZ_CHECK(locked.put_state(zone::State::installed, {}, aux));
    step_ = Step::adopted;
    note_arrival();
    return Json::object();
}

// The zone is here, whether or not that can be noted.
void IncomingMove::note_arrival() const {
    [[maybe_unused]] const Result<void> noted =
        store::append_journal(client_.paths(), zone_, migrate::move_kind_name(offer_.kind),
                              {{"direction", "in"},
                               {"bytes", 0},
                               {"cipher", "-"},
                               {"connections", 0},
                               {"peer", offer_.source.host_name},
                               {"migration_id", offer_.migration_id}});
}

Result<Json> IncomingMove::start() {
    KZ_CHECK(require(Step::adopted));
    step_ = Step::done;
    KZ_CHECK_CONTEXT(client_.boot(zone_, {}, {}), "destination");
    return Json::object();
}

void IncomingMove::remove_import() {
    const Result<LockedZone> locked = LockedZone::take(client_.registry(), zone_);
    if (!locked || locked->status().state != zone::State::configured || !imported_) return;
    [[maybe_unused]] const Result<void> removed = client_.registry().remove(zone_);
}

void IncomingMove::undo() {
    if (step_ == Step::booted) [[maybe_unused]]
        const Result<Json> cancelled = ask("incoming-cancel", Json::object());
    if (step_ < Step::adopted) remove_import();
    step_ = Step::done;
}

IncomingMove::~IncomingMove() {
    if (step_ == Step::booted) [[maybe_unused]]
        const Result<Json> decided = ask("incoming-lost", Json::object());
    if (step_ < Step::adopted) remove_import();
}

}  // namespace kz::client
