// Moves away from this host: started, watched, cancelled and listed.
#include <algorithm>
#include <array>
#include <limits>

#include "rad/body.h"
#include "rad/routes.h"
#include "store/journal.h"

namespace kz::rad {
namespace {

constexpr std::array<std::string_view, 13> kFields{
    "destination",     "type",       "cipher",      "dry_run",   "connections", "tunnel",
    "max_pause_ms",    "deadline_s", "on_deadline", "bandwidth", "post_copy",   "accept_new_host_key",
    "host_fingerprint"};
constexpr std::array<std::string_view, 4> kTypes{"auto", "live", "warm", "cold"};
constexpr std::array<std::string_view, 2> kOnDeadline{"cancel", "force"};
constexpr std::uint64_t kMaxConnections = 64;
constexpr std::uint64_t kMaxPauseMs = 600'000;
constexpr std::uint64_t kMaxDeadline = 7 * 24 * 3600;
constexpr std::uint64_t kMaxBandwidth = std::numeric_limits<std::int64_t>::max();

// What is for live moves only.
Result<void> read_knobs(const Body& body, client::MigrateOptions& options) {
    KZ_TRY(const std::uint64_t pause, body.number_or("max_pause_ms", options.max_pause_ms, kMaxPauseMs));
    options.max_pause_ms = static_cast<unsigned>(pause);
    KZ_TRY(options.deadline_s, body.number_or("deadline_s", options.deadline_s, kMaxDeadline));
    KZ_TRY(options.on_deadline, body.text_or("on_deadline", options.on_deadline));
    if (std::ranges::find(kOnDeadline, options.on_deadline) == kOnDeadline.end())
        return fail(Errc::invalid_argument, "'on_deadline' is cancel or force");
    KZ_TRY(options.bandwidth_bytes, body.number_or("bandwidth", 0, kMaxBandwidth));
    KZ_TRY(options.post_copy, body.flag("post_copy"));
    if (options.post_copy && options.connections > 1)
        return fail(Errc::invalid_argument, "'post_copy' and 'connections' exclude each other");
    return {};
}

Result<client::MigrateOptions> read_options(const Body& body) {
    client::MigrateOptions options;
    KZ_TRY(options.destination, body.text("destination"));
    KZ_TRY(options.type, body.text_or("type", "auto"));
    if (std::ranges::find(kTypes, options.type) == kTypes.end())
        return fail(Errc::invalid_argument, "'type' is one of auto, live, warm and cold");
    KZ_TRY(options.cipher, body.text_or("cipher", ""));
    KZ_TRY(options.dry_run, body.flag("dry_run"));
    KZ_TRY(const std::uint64_t connections, body.number_or("connections", 0, kMaxConnections));
    options.connections = static_cast<unsigned>(connections);
    KZ_TRY(options.tunnel, body.flag("tunnel"));
    KZ_TRY(options.accept_new_host_key, body.flag("accept_new_host_key"));
    KZ_TRY(std::string fingerprint, body.text_or("host_fingerprint", ""));
    if (!fingerprint.empty()) options.host_fingerprint = std::move(fingerprint);
    KZ_CHECK(read_knobs(body, options));
    return options;
}

// A move hands the zone's key to the other host: which hosts are trusted with that is decided by known_hosts,
// which is not for everybody to extend.
Result<void> check_rights(const Request& request, const Guard& guard, const client::MigrateOptions& options) {
    if ((options.accept_new_host_key || options.host_fingerprint) && request.peer.role != Role::full)
        return fail(Errc::permission, "only the role 'full' may accept the key of a new host");
    const bool any_kind =
        guard.allows(request.peer, {Need::operate, "migrate"}, request.parameters.at("zone"));
    if (!any_kind && options.type != "cold")
        return fail(Errc::permission, "{} may make only cold migrations of this zone", request.peer.name);
    return {};
}

Result<Json> start(Request& request, Migrations& migrations, const Guard& guard) {
    request.audit["action"] = "migrate";
    KZ_TRY(const Body body, Body::of(request.body, kFields));
    KZ_TRY(const client::MigrateOptions options, read_options(body));
    request.audit["destination"] = options.destination;
    request.audit["cipher"] = options.cipher;
    request.audit["dry_run"] = options.dry_run;
    KZ_CHECK(check_rights(request, guard, options));
    KZ_TRY(Json started, migrations.start(request.parameters.at("zone"), options, request.peer.name));
    request.audit["migration"] = started["id"];
    return started;
}

Result<Json> change(Request& request, Migrations& migrations) {
    request.audit["action"] = "limit";
    request.audit["migration"] = request.parameters.at("id");
    KZ_TRY(const Body body, Body::of(request.body, std::array<std::string_view, 1>{"bandwidth"}));
    if (!request.body.contains("bandwidth")) return fail(Errc::invalid_argument, "'bandwidth' is missing");
    KZ_TRY(const std::uint64_t bandwidth, body.number_or("bandwidth", 0, kMaxBandwidth));
    request.audit["bandwidth"] = bandwidth;
    return migrations.limit(request.parameters.at("zone"), request.parameters.at("id"), bandwidth);
}

Result<Json> list(const Request& request, const Migrations& migrations, const HostPaths& paths) {
    constexpr std::array<std::string_view, 3> kMoves{"live", "warm", "cold"};
    const std::string& zone = request.parameters.at("zone");
    KZ_TRY(const std::vector<Json> entries, store::read_journal(paths, zone));
    Json journal = Json::array();
    for (const Json& entry : entries)
        if (std::ranges::find(kMoves, json_text(entry, "move").value_or("")) != kMoves.end())
            journal.push_back(entry);
    return Json{{"migrations", migrations.list(zone)}, {"journal", std::move(journal)}};
}

}  // namespace

void add_migrate_routes(Router& router, Migrations& migrations, const HostPaths& paths, const Guard& guard) {
    const std::string all = "/api/1/zones/{zone}/migrations";
    const std::string one = all + "/{id}";
    constexpr std::string_view kAuths = "migrate|migrate.cold";
    router.add("POST", all, {Need::operate, kAuths},
               [&migrations, &guard](Request& request) { return start(request, migrations, guard); });
    router.add("GET", all, {Need::view, kAnyAuth},
               [&migrations, paths](Request& request) { return list(request, migrations, paths); });
    router.add("GET", one, {Need::view, kAnyAuth}, [&migrations](Request& request) {
        return migrations.find(request.parameters.at("zone"), request.parameters.at("id"));
    });
    router.add("PATCH", one, {Need::operate, kAuths},
               [&migrations](Request& request) { return change(request, migrations); });
    router.add("DELETE", one, {Need::operate, kAuths}, [&migrations](Request& request) {
        request.audit["action"] = "cancel";
        request.audit["migration"] = request.parameters.at("id");
        return migrations.cancel(request.parameters.at("zone"), request.parameters.at("id"));
    });
}

}  // namespace kz::rad
