// What is done to a zone: booting, halting, suspending and so on.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "rad/body.h"
#include "rad/routes.h"
#include "store/zone_json.h"

namespace kz::rad {
namespace {

constexpr std::uint64_t kDefaultPatience = 300;
constexpr std::uint64_t kLongestPatience = 3600;

using client::Client;
using client::Reporter;
using Act = Result<void> (*)(Client&, const std::string& zone, const Body&, const Reporter&);

Result<client::BootOptions> boot_options(const Body& body) {
    client::BootOptions options;
    KZ_TRY(options.boot_args, body.text_or("boot_args", ""));
    KZ_TRY(options.discard_image, body.flag("discard_image"));
    return options;
}

Result<void> boot(Client& client, const std::string& zone, const Body& body, const Reporter& reporter) {
    KZ_TRY(const client::BootOptions options, boot_options(body));
    return client.boot(zone, options, reporter);
}

Result<void> reboot(Client& client, const std::string& zone, const Body& body, const Reporter&) {
    KZ_TRY(const client::BootOptions options, boot_options(body));
    return client.reboot(zone, options);
}

Result<void> shutdown(Client& client, const std::string& zone, const Body& body, const Reporter& reporter) {
    KZ_TRY(const std::uint64_t patience, body.number_or("patience", kDefaultPatience, kLongestPatience));
    KZ_TRY(const bool reboot, body.flag("reboot"));
    return client.shutdown(zone, reboot, std::chrono::seconds(patience), reporter);
}

Result<void> attach(Client& client, const std::string& zone, const Body& body, const Reporter& reporter) {
    client::AttachOptions options;
    KZ_TRY(options.force_takeover, body.flag("force_takeover"));
    KZ_TRY(options.initialize_host_data, body.flag("initialize_host_data"));
    return client.attach(zone, options, reporter);
}

struct Action {
    std::string_view name;
    std::array<std::string_view, 3> fields;  // what its body may have; "" is none
    Act act;
};
constexpr std::array kActions = std::to_array<Action>({
    {"boot", {"action", "boot_args", "discard_image"}, boot},
    {"ready",
     {"action"},
     [](Client& client, const std::string& zone, const Body&, const Reporter&) {
         return client.ready(zone);
     }},
    {"halt",
     {"action"},
     [](Client& client, const std::string& zone, const Body&, const Reporter&) { return client.halt(zone); }},
    {"shutdown", {"action", "patience", "reboot"}, shutdown},
    {"reboot", {"action", "boot_args"}, reboot},
    {"suspend",
     {"action"},
     [](Client& client, const std::string& zone, const Body&, const Reporter& reporter) {
         return client.suspend(zone, reporter);
     }},
    {"attach", {"action", "force_takeover", "initialize_host_data"}, attach},
    {"detach",
     {"action"},
     [](Client& client, const std::string& zone, const Body&, const Reporter&) {
         return client.detach(zone);
     }},
});

Result<const Action*> find_action(const Json& body) {
    const auto name = json_text(body, "action");
    const auto* found = std::ranges::find(kActions, name.value_or(""), &Action::name);
    if (found != kActions.end()) return found;
    std::vector<std::string> names;
    for (const Action& each : kActions)
        names.emplace_back(each.name);
    return fail(Errc::invalid_argument, "'action' is one of {}", join(names, ", "));
}

Result<Json> change_state(Request& request, Client& client) {
    const std::string& zone = request.parameters.at("zone");
    KZ_TRY(const Action* const action, find_action(request.body));
    request.audit["action"] = action->name;
    KZ_TRY(const Body body, Body::of(request.body, action->fields));
    Json messages = Json::array();
    Reporter reporter;
    reporter.message = [&](const std::string& text) { messages.push_back(text); };
    reporter.cancel_fd = request.cancel_fd;
    KZ_CHECK(action->act(client, zone, body, reporter));
    KZ_TRY(const store::ZoneStatus status, client.status(zone));
    return Json{{"zone", store::describe_zone(status)}, {"messages", std::move(messages)}};
}

}  // namespace

void add_state_routes(Router& router, client::Client& client) {
    router.add("POST", "/api/1/zones/{zone}/state", {Need::operate, "manage"},
               [&client](Request& request) { return change_state(request, client); });
}

}  // namespace kz::rad
