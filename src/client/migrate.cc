// migrate: chooses the kind of move; live moves are the monitor's, warm and cold ones are made here.
#include <thread>

#include "client/client.h"
#include "client/locked_zone.h"
#include "client/storage.h"
#include "crypto/random.h"
#include "migrate/offer.h"
#include "migrate/peer.h"
#include "store/boot_disk.h"
#include "store/journal.h"
#include "zone/export.h"

namespace kz::client {
namespace {

using migrate::MoveKind;

constexpr std::chrono::seconds kConnectTime{15};
constexpr std::chrono::seconds kCallTime{60};

Result<MoveKind> choose_kind(const std::string& type, const store::ZoneStatus& status) {
    const bool running = status.state == zone::State::running;
    const bool installed = status.state == zone::State::installed;
    const bool suspended = installed && status.aux.contains(zone::Aux::suspended);
    if (type == "auto" && running) return MoveKind::live;
    if (type == "auto" && installed) return suspended ? MoveKind::warm : MoveKind::cold;
    if (type == "live" && running) return MoveKind::live;
    if (type == "warm" && suspended) return MoveKind::warm;
    if (type == "cold" && installed && !suspended) return MoveKind::cold;
    if (type == "live")
        return fail(Errc::wrong_state, "live migration needs a running zone; the zone is {}",
                    zone::state_name(status.state));
    if (type == "warm")
        return fail(Errc::wrong_state, "warm migration needs a suspended zone; suspend it first");
    if (type == "cold")
        return fail(Errc::wrong_state,
                    "cold migration needs an installed zone that is not suspended; the zone is {}",
                    zone::state_name(status.state));
    return fail(Errc::wrong_state, "migrate operation is invalid for {} zones.",
                zone::state_name(status.state));
}

// Warm and cold: only the ownership of the disk moves.
class Handing {
  public:
    Handing(const Reporter& reporter, migrate::Peer peer, migrate::Offer offer, std::string zone)
        : reporter_(reporter),
          peer_(std::move(peer)),
          offer_(std::move(offer)),
          target_(fmt::format("/api/1/zones/{}/incoming", zone)) {}

    Result<migrate::Acceptance> prepare() {
        KZ_TRY(const Json accepted, call("POST", "", offer_.to_json()));
        KZ_TRY(migrate::Acceptance acceptance, migrate::Acceptance::from_json(accepted));
        reporter_.say(acceptance.has_configuration ? "Using existing zone configuration on destination."
                                                   : "Importing zone configuration.");
        KZ_CHECK(call("POST", "/configure", Json::object()));
        reporter_.say("Attaching zone.");
        KZ_CHECK(call("POST", "/attach", Json::object()));
        return acceptance;
    }
    Result<void> adopt() {
        KZ_CHECK(call("POST", "/adopt", Json::object()));
        return {};
    }
    void undo() {
        reporter_.say("Cleaning up.");
        [[maybe_unused]] const Result<Json> undone = call("DELETE", "", nullptr);
    }
    const std::string& fingerprint() const { return peer_.fingerprint(); }

  private:
    Result<Json> call(std::string_view method, std::string_view step, const Json& body) {
        return peer_.call(method, target_ + std::string(step), body, kCallTime,
                          method == "DELETE" ? -1 : reporter_.cancel_fd);
    }
    const Reporter& reporter_;
    migrate::Peer peer_;
    migrate::Offer offer_;
    std::string target_;
};

Result<migrate::Offer> offer_disk(const zone::Config& config, MoveKind kind, bool dry_run,
                                  const std::string& uuid, const store::HostIdentity& host) {
    migrate::Offer offer;
    offer.kind = kind;
    offer.dry_run = dry_run;
    KZ_TRY(const Bytes id, crypto::random_bytes(16));
    offer.migration_id = to_hex(id);
    offer.zone_uuid = uuid;
    offer.configuration = zone::export_text(config, /*with_secrets=*/true);
    offer.source = host.as_owner();
    offer.cpus = std::max(1U, std::thread::hardware_concurrency());
    return offer;
}

migrate::TrustPolicy trust_policy(const MigrateOptions& options) {
    if (options.accept_new_host_key) return migrate::TrustPolicy::accept_new();
    if (options.confirm_host_key) return migrate::TrustPolicy::ask(options.confirm_host_key);
    return migrate::TrustPolicy::refuse();
}

}  // namespace

Result<std::vector<std::string>> Client::destination_ciphers(const MigrateOptions& options) {
    KZ_TRY(const migrate::PeerAddress address, migrate::PeerAddress::parse(options.destination));
    KZ_TRY(migrate::Peer peer, migrate::Peer::connect(address, paths(), trust_policy(options), kConnectTime));
    KZ_TRY(const Json host, peer.call("GET", "/api/1/migration-ciphers", nullptr, kCallTime));
    std::vector<std::string> names;
    if (!host.is_object() || !host.contains("ciphers") || !host["ciphers"].is_array())
        return fail(Errc::protocol, "the other host did not say which ciphers it has");
    for (const Json& name : host["ciphers"]) {
        if (name.is_string()) names.push_back(name.get<std::string>());
    }
    return names;
}

Result<Json> Client::migrate(const std::string& zone, const MigrateOptions& options,
                             const Reporter& reporter) {
    KZ_TRY(const migrate::PeerAddress address, migrate::PeerAddress::parse(options.destination));
    const std::string cipher_name =
        options.cipher.empty() ? std::string(crypto::cipher_name(crypto::kDefaultCipher)) : options.cipher;
    KZ_TRY(const crypto::Cipher cipher, crypto::parse_cipher(cipher_name));
    KZ_TRY(const store::ZoneStatus status, store::status_of(registry_, zone));
    KZ_TRY(const MoveKind kind, choose_kind(options.type, status));
    KZ_TRY(const zone::Config config, registry_.load_config(zone));
    for (const zone::Device& device : config.devices()) {
        KZ_TRY(const storage::Suri suri, storage::Suri::parse(device.storage));
        if (!suri.shareable())
            return fail(Errc::unsupported,
                        "device {}: {} is local to this host; only zones on shared storage can be migrated",
                        device.id, device.storage);
    }
    KZ_TRY(migrate::Peer peer,
           migrate::Peer::connect(address, paths(), trust_policy(options), kConnectTime, reporter.cancel_fd));
    if (cipher == crypto::Cipher::none)
        reporter.say("WARNING: the zone's memory is sent without encryption.");
    if (kind != MoveKind::live) return hand_over(zone, kind, options.dry_run, std::move(peer), reporter);
    const Json request{{"destination", options.destination},
                       {"cipher", cipher_name},
                       {"connections", options.connections},
                       {"dry_run", options.dry_run}};
    return ask_monitor(zone, "migrate", request, reporter);
}

Result<Json> Client::hand_over(const std::string& zone, migrate::MoveKind kind, bool dry_run,
                               migrate::Peer peer, const Reporter& reporter) {
    KZ_TRY(LockedZone locked, LockedZone::take(registry_, zone));
    if (locked.status().state != zone::State::installed) return locked.wrong_state("migrate");
    KZ_TRY(const zone::Config config, registry_.load_config(zone));
    KZ_TRY(const store::HostIdentity host, store::host_identity(paths()));
    KZ_TRY(store::BootDisk disk, store::BootDisk::open(registry_, config));
    KZ_CHECK(disk.read_owned(locked.status().uuid));
    KZ_TRY(migrate::Offer offer, offer_disk(config, kind, dry_run, locked.status().uuid, host));
    Handing handing(reporter, std::move(peer), std::move(offer), zone);
    const Result<migrate::Acceptance> acceptance = handing.prepare();
    if (!acceptance || dry_run) handing.undo();
    if (!acceptance)
        return std::unexpected(Error(acceptance.error())
                                   .context("migration failed")
                                   .append("the zone is unchanged on this host"));
    if (dry_run) {
        reporter.say("Dry-run migration successful.");
        return Json{{"dry_run", true}};
    }
    if (Result<void> committed = disk.hand_to(acceptance->destination, "installed"); !committed) {
        handing.undo();
        return std::unexpected(std::move(committed).error().context("migration failed"));
    }
    const Result<void> adopted = handing.adopt();
    KZ_CHECK(locked.put_state(zone::State::configured));
    Json report{{"bytes", 0},
                {"cipher", "-"},
                {"connections", 0},
                {"peer", acceptance->destination.host_name},
                {"fingerprint", handing.fingerprint()}};
    [[maybe_unused]] const Result<void> noted =
        store::append_journal(paths(), zone, migrate::move_kind_name(kind), report);
    if (!adopted) {
        return fail(adopted.error().code(),
                    "the zone belongs to {} now, but that host did not confirm it: {}\nThere, run: zoneadm "
                    "-z {} attach",
                    acceptance->destination.host_name, adopted.error().message(), zone);
    }
    reporter.say("Migration successful.");
    reporter.say("Detaching zone on source host.");
    return report;
}

}  // namespace kz::client
