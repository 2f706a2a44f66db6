#include "rad/migration_routes.h"

#include "client/incoming_move.h"
#include "zone/names.h"

namespace kz::rad {
namespace {

using client::IncomingMove;

// The move that a connection is making. Its end, for whatever reason, is the end of the move.
struct MoveInProgress : Attachment {
    MoveInProgress(std::string zone_name, std::unique_ptr<IncomingMove> begun)
        : zone(std::move(zone_name)), move(std::move(begun)) {}
    // The source says nothing while the memory moves, however long that takes.
    bool holds_connection() const override { return true; }
    std::string zone;
    std::unique_ptr<IncomingMove> move;
};

constexpr std::string_view kAttachment = "incoming-move";

Result<IncomingMove*> find_move(const Request& request) {
    auto* found = request.connection.find<MoveInProgress>(kAttachment);
    if (found == nullptr || found->zone != request.parameters.at("zone"))
        return fail(Errc::wrong_state, "no migration of the zone was begun on this connection");
    return found->move.get();
}

Result<Json> begin_move(Request& request, client::Client& client, Log& log) {
    const std::string& zone = request.parameters.at("zone");
    if (request.connection.find<MoveInProgress>(kAttachment) != nullptr)
        return fail(Errc::busy, "a migration is under way on this connection");
    if (!zone::is_valid_zone_name(zone))
        return fail(Errc::invalid_argument, "{}: {}", zone, zone::kBogusZoneName);
    KZ_TRY(migrate::Offer offer, migrate::Offer::from_json(request.body));
    request.audit["action"] = "incoming";
    request.audit["migration"] = offer.migration_id;
    request.audit["cipher"] = crypto::cipher_name(offer.cipher);
    request.audit["dry_run"] = offer.dry_run;
    log.info("zone '{}': {} migration {} offered by {} ({}){}", zone, migrate::move_kind_name(offer.kind),
             offer.migration_id, request.peer.name, request.peer.address, offer.dry_run ? ", dry run" : "");
    KZ_TRY(std::unique_ptr<IncomingMove> move, IncomingMove::begin(client, zone, std::move(offer)));
    KZ_TRY(const migrate::Acceptance acceptance, move->acceptance());
    request.connection.attach(std::string(kAttachment),
                              std::make_unique<MoveInProgress>(zone, std::move(move)));
    return acceptance.to_json();
}

// A step of the move of this connection.
using Step = std::function<Result<Json>(IncomingMove&, const Request&)>;

Handler step_handler(std::string name, Step step, Log& log) {
    return [name = std::move(name), step = std::move(step), &log](Request& request) -> Result<Json> {
        KZ_TRY(IncomingMove* const move, find_move(request));
        Result<Json> outcome = step(*move, request);
        log.info("zone '{}': {}: {}", request.parameters.at("zone"), name,
                 outcome ? "done" : outcome.error().message());
        return outcome;
    };
}

}  // namespace

void add_migration_routes(Router& router, client::Client& client, Log& log) {
    const std::string base = "/api/1/zones/{zone}/incoming";
    router.add("GET", "/api/1/migration-ciphers", {Need::known},
               [](Request&) -> Result<Json> { return Json{{"ciphers", migrate::cipher_names()}}; });
    router.add("POST", base, {Need::migrate},
               [&client, &log](Request& request) { return begin_move(request, client, log); });
    const auto add = [&](const std::string& name, Step step) {
        router.add("POST", base + "/" + name, {Need::migrate}, step_handler(name, std::move(step), log));
    };
    add("link", [](IncomingMove& move, const Request&) { return move.link(); });
    add("configure", [](IncomingMove& move, const Request&) { return move.configure(); });
    add("attach", [](IncomingMove& move, const Request&) { return move.attach(); });
    add("boot", [](IncomingMove& move, const Request& request) -> Result<Json> {
        KZ_TRY(const std::uint64_t connections, json_u64(request.body, "connections"));
        if (connections == 0 || connections >= migrate::kMaxChannels)
            return fail(Errc::invalid_argument, "{} memory connections are not possible", connections);
        return move.boot(static_cast<unsigned>(connections));
    });
    add("loaded", [](IncomingMove& move, const Request& request) { return move.loaded(request.cancel_fd); });
    add("resume", [](IncomingMove& move, const Request& request) { return move.resume(request.body); });
    add("adopt", [](IncomingMove& move, const Request&) { return move.adopt(); });
    add("start", [](IncomingMove& move, const Request&) { return move.start(); });
    router.add("DELETE", base, {Need::migrate}, [&log](Request& request) -> Result<Json> {
        KZ_TRY(IncomingMove* const move, find_move(request));
        move->undo();
        request.connection.detach(kAttachment);
        log.info("zone '{}': the migration was undone", request.parameters.at("zone"));
        return Json::object();
    });
}

}  // namespace kz::rad
