// Configurations of zones: shown, replaced and deleted as text of zonecfg's language.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "rad/body.h"
#include "rad/routes.h"
#include "zone/export.h"
#include "zone/names.h"
#include "zone/verify.h"
#include "zonecfg/parse_export.h"

namespace kz::rad {
namespace {

constexpr std::array<std::string_view, 1> kFields{"text"};
constexpr std::chrono::seconds kLockTime{10};

Result<Json> show(Request& request, client::Client& client) {
    const std::string& zone = request.parameters.at("zone");
    const auto asked = request.query.find("secrets");
    const bool secrets = asked != request.query.end() && asked->second == "true";
    if (secrets && request.peer.role != Role::full)
        return fail(Errc::permission, "only the role 'full' may see a zone's key");
    KZ_TRY(const zone::Config config, client.registry().load_config(zone));
    return Json{{"zone", zone}, {"text", zone::export_text(config, secrets)}};
}

// Whose disks exist keeps its configuration as it is.
Result<void> check_is_configured(const client::Client& client, const std::string& zone) {
    KZ_TRY(const store::ZoneStatus status, client.status(zone));
    if (status.state != zone::State::configured)
        return fail(Errc::wrong_state,
                    "the zone is {}; its configuration is replaced or deleted only while it is "
                    "configured",
                    zone::state_name(status.state));
    return {};
}

// Who administers a single zone does not choose who else does.
Result<void> check_admins(const zone::Config& before, const zone::Config& after) {
    const auto old_ones = before.resources("admin");
    const auto new_ones = after.resources("admin");
    const bool same =
        std::ranges::equal(old_ones, new_ones, [](const auto* a, const auto* b) { return *a == *b; });
    if (!same) return fail(Errc::permission, "only the role 'full' may change who administers a zone");
    return {};
}

Result<Json> replace(Request& request, client::Client& client) {
    const std::string& zone = request.parameters.at("zone");
    request.audit["action"] = "import";
    if (!zone::is_valid_zone_name(zone))
        return fail(Errc::invalid_argument, "{}: {}", zone, zone::kBogusZoneName);
    KZ_TRY(const Body body, Body::of(request.body, kFields));
    KZ_TRY(const std::string text, body.text("text"));
    KZ_TRY(const zone::Config config, zonecfg::parse_export(text, zone));
    if (const zone::Report report = zone::verify(config); !report.ok())
        return fail(Errc::invalid_argument, "{}", join(report.errors, "\n"));
    KZ_TRY(const store::ZoneLock lock, client.registry().lock(zone, Deadline::after(kLockTime)));
    const bool exists = client.registry().exists(zone);
    if (exists) KZ_CHECK(check_is_configured(client, zone));
    if (request.peer.role != Role::full) {
        KZ_TRY(const zone::Config before, client.registry().load_config(zone));
        KZ_CHECK(check_admins(before, config));
    }
    KZ_CHECK(client.registry().save_config(config));
    return Json{{"zone", zone}, {"created", !exists}};
}

Result<Json> remove(Request& request, client::Client& client) {
    const std::string& zone = request.parameters.at("zone");
    request.audit["action"] = "delete";
    if (!client.registry().exists(zone)) return fail(Errc::not_found, "{}", zone::kNoSuchZone);
    KZ_TRY(const store::ZoneLock lock, client.registry().lock(zone, Deadline::after(kLockTime)));
    KZ_CHECK(check_is_configured(client, zone));
    KZ_CHECK(client.registry().remove(zone));
    return Json();
}

}  // namespace

void add_configuration_routes(Router& router, client::Client& client) {
    const std::string pattern = "/api/1/zones/{zone}/configuration";
    router.add("GET", pattern, {Need::view, kAnyAuth},
               [&client](Request& request) { return show(request, client); });
    router.add("PUT", pattern, {Need::full, "config"},
               [&client](Request& request) { return replace(request, client); });
    router.add("DELETE", pattern, {Need::full},
               [&client](Request& request) { return remove(request, client); });
}

}  // namespace kz::rad
