// migrate: chooses the kind of move; live moves are the monitor's, warm and cold ones are made here. A zone
// that runs and is to move warm is suspended first, and resumes at the destination.
#include "base/text.h"
#include "client/client.h"
#include "client/destination.h"
#include "client/disk_move.h"
#include "client/locked_zone.h"
#include "migrate/checks.h"
#include "migrate/offer.h"
#include "migrate/peer.h"
#include "storage/suri.h"
#include "store/journal.h"

namespace kz::client {
namespace {

using migrate::MoveKind;

constexpr std::chrono::seconds kCallTime{60};
constexpr std::size_t kMaxCiphers = 64;
constexpr std::size_t kMaxCipherName = 64;

Result<MoveKind> choose_kind(const std::string& type, const store::ZoneStatus& status) {
    const bool running = status.state == zone::State::running;
    const bool installed = status.state == zone::State::installed;
    const bool suspended = installed && status.aux.contains(zone::Aux::suspended);
    if (type == "auto" && running) return MoveKind::live;
    if (type == "auto" && installed) return suspended ? MoveKind::warm : MoveKind::cold;
    if (type == "live" && running) return MoveKind::live;
    if (type == "warm" && (suspended || running)) return MoveKind::warm;
    if (type == "cold" && installed && !suspended) return MoveKind::cold;
    if (type == "live")
        return fail(Errc::wrong_state, "live migration needs a running zone; the zone is {}",
                    zone::state_name(status.state));
    if (type == "warm")
        return fail(Errc::wrong_state,
                    "warm migration needs a zone that runs or is suspended; the zone is {}",
                    zone::state_name(status.state));
    if (type == "cold")
        return fail(Errc::wrong_state,
                    "cold migration needs an installed zone that is not suspended; the zone is {}",
                    zone::state_name(status.state));
    return fail(Errc::wrong_state, "migrate operation is invalid for {} zones.",
                zone::state_name(status.state));
}

Result<void> check_shareable(const zone::Config& config) {
    for (const zone::Device& device : config.devices()) {
        KZ_TRY(const storage::Suri suri, storage::Suri::parse(device.storage));
        if (!suri.shareable())
            return fail(Errc::unsupported,
                        "device {}: {} is local to this host; only zones on shared storage can be migrated",
                        device.id, device.storage);
    }
    return {};
}

Result<std::vector<std::string>> ask_ciphers(Destination& destination, const Reporter& reporter) {
    KZ_TRY(const Json host, destination.peer().call("GET", "/api/1/migration-ciphers", nullptr, kCallTime,
                                                    reporter.cancel_fd));
    if (!host.is_object() || !host.contains("ciphers"))
        return fail(Errc::protocol, "the other host did not say which ciphers it has");
    return migrate::peer_texts(host, "ciphers", kMaxCiphers, kMaxCipherName);
}

// Of one that is not known here the destination says what there is to choose from.
Result<void> check_cipher_name(const std::string& name, Destination& destination, const Reporter& reporter) {
    if (name.empty() || crypto::parse_cipher(name)) return {};
    KZ_TRY(const std::vector<std::string> theirs, ask_ciphers(destination, reporter));
    KZ_CHECK(migrate::check_cipher(name, theirs));
    return fail(Errc::unsupported, "cipher {} not supported by source\nsource supports: {}", name,
                join(migrate::cipher_names(), " "));
}

Result<Json> dry_run_outcome(DiskMove& move, const Result<void>& prepared, const Reporter& reporter) {
    if (prepared) reporter.say("Dry-run migration successful.");
    move.undo();
    if (!prepared) return std::unexpected(migrate::migration_failed(prepared.error()));
    return Json{{"dry_run", true}};
}

}  // namespace

Result<std::vector<std::string>> Client::destination_ciphers(const MigrateOptions& options,
                                                             const Reporter& reporter) {
    KZ_TRY(Destination destination, Destination::connect(paths(), options, reporter, /*live=*/false));
    return ask_ciphers(destination, reporter);
}

Result<Json> Client::migrate(const std::string& zone, const MigrateOptions& options,
                             const Reporter& reporter) {
    KZ_CHECK(migrate::PeerAddress::parse(options.destination));
    KZ_TRY(const store::ZoneStatus status, store::status_of(registry_, zone));
    KZ_TRY(const MoveKind kind, choose_kind(options.type, status));
    KZ_TRY(const zone::Config config, registry_.load_config(zone));
    KZ_CHECK(check_shareable(config));
    const bool live = kind == MoveKind::live;
    KZ_TRY(Destination destination, Destination::connect(paths(), options, reporter, live));
    KZ_CHECK(check_cipher_name(options.cipher, destination, reporter));
    Result<Json> report = live ? move_running(zone, options, destination, reporter)
                               : move_disk(zone, kind, options, destination, reporter);
    if (!report) return std::unexpected(destination.explain(std::move(report).error()));
    return report;
}

Result<Json> Client::move_running(const std::string& zone, const MigrateOptions& options,
                                  Destination& destination, const Reporter& reporter) {
    const std::string cipher =
        options.cipher.empty() ? std::string(crypto::cipher_name(crypto::kDefaultCipher)) : options.cipher;
    if (cipher == crypto::cipher_name(crypto::Cipher::none))
        reporter.say("WARNING: the zone's memory is sent without encryption.");
    Json request{{"destination", options.destination},   {"cipher", cipher},
                 {"connections", options.connections},   {"dry_run", options.dry_run},
                 {"max_pause_ms", options.max_pause_ms}, {"deadline_s", options.deadline_s},
                 {"on_deadline", options.on_deadline},   {"bandwidth_bytes", options.bandwidth_bytes},
                 {"post_copy", options.post_copy}};
    KZ_TRY(std::vector<UniqueFd> descriptors, destination.hand_to_monitor(request));
    return ask_monitor(zone, "migrate", std::move(request), reporter, std::move(descriptors));
}

// What can be checked is checked before the guest is stopped.
Result<void> Client::suspend_to_move(const std::string& zone, const std::string& uuid,
                                     Destination& destination, const Reporter& reporter) {
    const Reporter quiet{.message = {}, .progress = {}, .cancel_fd = reporter.cancel_fd};
    KZ_TRY(DiskMove rehearsal, DiskMove::begin(registry_, zone, uuid, MoveKind::warm, /*dry_run=*/true,
                                               destination.peer(), quiet));
    const Result<void> prepared = rehearsal.prepare();
    rehearsal.undo();
    if (!prepared)
        return std::unexpected(
            migrate::migration_failed(prepared.error(), "the zone goes on running on this host"));
    reporter.say("Suspending zone on source host.");
    return suspend(zone, reporter);
}

Error Client::resume_here(const std::string& zone, Error cause, const Reporter& reporter) {
    reporter.say("Resuming zone on source host.");
    const Result<void> resumed = boot(zone, {}, {});
    if (resumed) return std::move(cause).append("the zone was resumed on this host and goes on running");
    return std::move(cause).append(
        fmt::format("the zone is suspended on this host, for it could not be resumed: {}\nTo resume it, run: "
                    "zoneadm -z {} boot",
                    resumed.error().message(), zone));
}

Result<Json> Client::move_disk(const std::string& zone, MoveKind kind, const MigrateOptions& options,
                               Destination& destination, const Reporter& reporter) {
    KZ_TRY(const store::ZoneStatus status, store::status_of(registry_, zone));
    const bool running = status.state == zone::State::running;
    if (running && options.dry_run) {
        KZ_TRY(DiskMove move, DiskMove::begin(registry_, zone, status.uuid, kind, /*dry_run=*/true,
                                              destination.peer(), reporter));
        return dry_run_outcome(move, move.prepare(), reporter);
    }
    if (running) KZ_CHECK(suspend_to_move(zone, status.uuid, destination, reporter));
    bool committed = false;
    Result<Json> report = hand_over(zone, kind, options.dry_run, running, destination, reporter, committed);
    if (!report && running && !committed)
        return std::unexpected(resume_here(zone, std::move(report).error(), reporter));
    return report;
}

Result<Json> Client::hand_over(const std::string& zone, MoveKind kind, bool dry_run, bool start_there,
                               Destination& destination, const Reporter& reporter, bool& committed) {
    KZ_TRY(LockedZone locked, LockedZone::take(registry_, zone));
    if (locked.status().state != zone::State::installed) return locked.wrong_state("migrate");
    KZ_TRY(DiskMove move, DiskMove::begin(registry_, zone, locked.status().uuid, kind, dry_run,
                                          destination.peer(), reporter));
    const Result<void> prepared = move.prepare();
    if (dry_run) return dry_run_outcome(move, prepared, reporter);
    const Result<void> handed = prepared ? move.commit() : prepared;
    if (!handed) {
        move.undo();
        return std::unexpected(migrate::migration_failed(
            handed.error(), start_there ? "the zone is suspended" : "the zone is unchanged on this host"));
    }
    committed = true;
    const Result<void> adopted = move.adopt();
    KZ_CHECK(locked.put_state(zone::State::configured));
    Json report{{"direction", "out"},
                {"bytes", 0},
                {"cipher", "-"},
                {"connections", 0},
                {"peer", move.destination()},
                {"transport", migrate::scheme_name(destination.peer().address().scheme)},
                {"fingerprint", move.fingerprint()}};
    [[maybe_unused]] const Result<void> noted =
        store::append_journal(paths(), zone, migrate::move_kind_name(kind), report);
    if (!adopted)
        return fail(adopted.error().code(),
                    "the zone belongs to {} now, but that host did not confirm it: {}\nThere, run: zoneadm "
                    "-z {} attach",
                    move.destination(), adopted.error().message(), zone);
    if (start_there) {
        reporter.say("Resuming zone on destination host.");
        if (const Result<void> started = move.start(); !started)
            return fail(
                started.error().code(),
                "the zone belongs to {} now and is suspended there, for it did not resume: {}\nThere, "
                "run: zoneadm -z {} boot",
                move.destination(), started.error().message(), zone);
    }
    reporter.say("Migration successful.");
    reporter.say("Detaching zone on source host.");
    return report;
}

}  // namespace kz::client
