#include "client/incoming_move.h"

#include <fcntl.h>
#include <sys/sysinfo.h>

#include <thread>

#include "base/text.h"
#include "client/locked_zone.h"
#include "client/storage.h"
#include "monitor/machine.h"
#include "os/file.h"
#include "qemu/accel.h"
#include "qemu/probe.h"
#include "store/boot_disk.h"
#include "zone/names.h"
#include "zonecfg/parse_export.h"

namespace kz::client {
namespace {

// An error here speaks of this host to somebody at another.
std::unexpected<Error> refuse(const std::string& text) {
    return fail(Errc::wrong_state, "destination: {}", text);
}

}  // namespace

Result<std::unique_ptr<IncomingMove>> IncomingMove::begin(Client& client, std::string zone,
                                                          migrate::Offer offer) {
    KZ_TRY_CONTEXT(zone::Config config, zonecfg::parse_export(offer.configuration, zone),
                   "destination: the zone's configuration");
    std::unique_ptr<IncomingMove> move(
        new IncomingMove(client, std::move(zone), std::move(offer), std::move(config)));
    KZ_CHECK(move->check_configuration());
    KZ_CHECK(move->check_host());
    return move;
}

Result<void> IncomingMove::check_configuration() const {
    if (!client_.registry().exists(zone_)) return {};
    KZ_TRY(const store::ZoneStatus status, client_.status(zone_));
    if (status.state != zone::State::configured)
        return refuse(fmt::format("zone '{}' exists there and is {}", zone_, zone::state_name(status.state)));
    KZ_TRY(const zone::Config existing, client_.registry().load_config(zone_));
    const std::vector<std::string> differences = zone::machine_differences(config_, existing);
    if (!differences.empty())
        return refuse(fmt::format("the zone's configuration differs there:\n{}", join(differences, "\n")));
    if (existing.keysource_raw() && existing.keysource_raw() != config_.keysource_raw())
        return refuse("the zone's configuration there has another encryption key");
    return {};
}

Result<void> IncomingMove::check_host() const {
    for (const zone::Anet& anet : config_.anets()) {
        const auto bridge = monitor::bridge_for(anet);
        if (!bridge) return refuse(bridge.error().message());
    }
    if (offer_.kind != migrate::MoveKind::live) return {};
    const Result<qemu::QemuInfo> info = qemu::probe_qemu({.cache_dir = client_.paths().cache_dir()});
    if (!info) return refuse(info.error().message());
    if (!info->has_machine(offer_.machine_type))
        return refuse(
            fmt::format("QEMU {} has no machine type '{}'", info->version.text(), offer_.machine_type));
    const uid_t uid = monitor::machine_uid(offer_.zone_uuid);
    const auto accel = qemu::choose_accel(offer_.accel, qemu::gather_accel_facts(uid, uid, {}));
    if (!accel) return refuse(accel.error().message());
    struct sysinfo memory{};
    ::sysinfo(&memory);
    if (config_.memory_bytes() > static_cast<std::uint64_t>(memory.totalram) * memory.mem_unit) {
        return refuse(fmt::format("the zone's {} of memory do not fit", render_size(config_.memory_bytes())));
    }
    return {};
}

Result<migrate::Acceptance> IncomingMove::acceptance() const {
    KZ_TRY(const store::HostIdentity host, store::host_identity(client_.paths()));
    migrate::Acceptance acceptance;
    acceptance.destination = host.as_owner();
    acceptance.has_configuration = client_.registry().exists(zone_);
    acceptance.cpus = std::max(1U, std::thread::hardware_concurrency());
    acceptance.ciphers = migrate::cipher_names();
    return acceptance;
}

Result<void> IncomingMove::require(Step step) const {
    if (step_ == step) return {};
    return fail(Errc::wrong_state, "the steps of the migration came out of order");
}

Result<Json> IncomingMove::configure() {
    KZ_CHECK(require(Step::offered));
    KZ_TRY(const auto lock, client_.registry().lock(zone_, Deadline::after(std::chrono::seconds(10))));
    imported_ = !client_.registry().exists(zone_);
    if (imported_)
        KZ_CHECK_CONTEXT(client_.registry().save_config(config_), "destination: configuration failed");
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
    if (data.owner != offer_.source)
        return refuse(
            "host data on the disk there does not name the source as owner: it is not the same volume");
    if (data.suspend && offer_.kind == migrate::MoveKind::warm) {
        const auto readable = open_file(data.suspend->location, O_RDONLY);
        if (!readable) return refuse("the suspend image cannot be read there: " + readable.error().message());
    }
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
    return ask("incoming-boot", {{"machine_type", offer_.machine_type},
                                 {"accel", offer_.accel},
                                 {"connections", connections},
                                 {"cipher", crypto::cipher_name(offer_.cipher)},
                                 {"migration_id", offer_.migration_id}});
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
    return Json::object();
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
