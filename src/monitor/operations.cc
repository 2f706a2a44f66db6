#include "monitor/operations.h"

#include "monitor/agent.h"
#include "monitor/guest_help.h"
#include "monitor/outgoing.h"
#include "monitor/reconfigure.h"
#include "monitor/start.h"
#include "monitor/suspend.h"

namespace kz::monitor {
namespace {

constexpr std::uint64_t kLongestPatience = 3600;
constexpr std::chrono::seconds kStartTime{20};
constexpr std::chrono::seconds kAskAgain{10};

std::string text_or_empty(const Json& request, std::string_view key) {
    const auto text = json_optional_text(request, key);
    return text ? text->value_or("") : "";
}

Result<Json> no_result(Result<void> outcome) {
    if (!outcome) return std::unexpected(std::move(outcome).error());
    return Json::object();
}

}  // namespace

Operations::Operations(ZoneRun& run) : run_(run), incoming_(run) {}
Operations::~Operations() = default;

Result<Json> Operations::handle(const Json& request, Caller& caller) {
    KZ_TRY(const std::string name, json_text(request, "op"));
    if (name == "status") return status();
    // A monitor that has just taken the place of a dead one is not done yet.
    run_.wait_until_ready(kStartTime);
    if (name == "shutdown") return shut_down(request);
    if (name == "limit-move") return limit_move(request);
    if (name == "wait-usable") return wait_until_usable(request);
    if (name == "halt" && run_.departed_unreachable) return give_up_departed();
    return exclusively(request, caller);
}

Result<Json> Operations::exclusively(const Json& request, Caller& caller) {
    std::unique_lock lock(run_.operation(), std::try_to_lock);
    if (!lock) return fail(Errc::busy, "another operation on the zone is in progress");
    if (run_.finished()) return fail(Errc::wrong_state, "not running");
    if (run_.has_departed())
        return fail(Errc::busy,
                    "the zone has moved to another host, which still fetches its memory from this one");
    run_.interrupt().reset();
    KZ_TRY(const std::string name, json_text(request, "op"));
    Result<Json> outcome = dispatch(name, request, caller);
    if (!outcome) run_.log().error("{}: {}", name, outcome.error().message());
    // What the main loop has put off meanwhile.
    lock.unlock();
    run_.wake().signal();
    return outcome;
}

// The zone runs elsewhere, or will never run there: what it still lacks of its memory is here.
Result<Json> Operations::give_up_departed() {
    run_.give_up_departed = true;
    run_.interrupt().signal();
    const std::lock_guard lock(run_.operation());
    return Json::object();
}

void Operations::look_at_arrival() {
    const std::unique_lock lock(run_.operation(), std::try_to_lock);
    if (!lock || run_.finished()) return;
    if (const Result<bool> settled = incoming_.settle(); !settled)
        run_.log().error("the zone's arrival: {}", settled.error().message());
}

Result<Json> Operations::dispatch(const std::string& name, const Json& request, Caller& caller) {
    if (name.starts_with("incoming-")) return incoming_.handle(name, request);
    if (run_.machine() == nullptr) return fail(Errc::wrong_state, "not running");
    if (name == "boot") return boot(request);
    if (name == "halt") return no_result(halt_zone(run_));
    if (name == "reboot") return no_result(reboot_zone(run_, text_or_empty(request, "boot_args")));
    if (name == "apply") return reconfigure_zone(run_, request, caller);
    if (name == "suspend") return suspend_zone(run_, request, caller);
    if (name == "migrate") return migrate(request, caller);
    if (name == "freeze") return freeze(request);
    if (name == "thaw") return thaw();
    return fail(Errc::invalid_argument, "unknown operation '{}'", name);
}

Result<Json> Operations::status() {
    const std::unique_lock lock(run_.operation(), std::try_to_lock);
    Json answer{{"busy", !lock.owns_lock()}};
    if (!lock) return answer;
    const store::RuntimeRecord& runtime = run_.runtime();
    answer["state"] = zone::state_name(runtime.state);
    answer["aux"] = runtime.aux.text();
    answer["machine_type"] = runtime.machine_type;
    answer["details"] = runtime.details;
    return answer;
}

Result<Json> Operations::boot(const Json& request) {
    if (run_.runtime().state != zone::State::ready) {
        return fail(Errc::wrong_state, "boot operation is invalid for {} zones.",
                    zone::state_name(run_.runtime().state));
    }
    if (!text_or_empty(request, "boot_args").empty())
        return no_result(reboot_zone(run_, text_or_empty(request, "boot_args")));
    KZ_CHECK(run_.write_host_state("running", std::nullopt));
    run_.console().notice("booting up");
    return no_result(run_.run_guest(/*begins=*/true));
}

Result<void> Operations::press_power_button() {
    KZ_CHECK_CONTEXT(run_.machine()->qmp().execute("system_powerdown"), "asking the guest to shut down");
    return {};
}

// Beside whatever else is done with the zone.
Result<Json> Operations::wait_until_usable(const Json& request) {
    KZ_TRY(const std::uint64_t patience, json_u64(request, "patience"));
    const Deadline deadline = Deadline::after(std::chrono::seconds(std::min(patience, kLongestPatience)));
    return no_result(run_.agent().wait_until_usable(deadline));
}

Result<Json> Operations::freeze(const Json& request) {
    KZ_TRY(const std::uint64_t at_most, json_u64(request, "at_most"));
    KZ_TRY(const std::uint64_t count,
           freeze_guest(run_, std::chrono::seconds(std::min(at_most, kLongestPatience))));
    return Json{{"file_systems", count}};
}

Result<Json> Operations::thaw() {
    KZ_TRY(const std::uint64_t count, thaw_guest(run_));
    return Json{{"file_systems", count}};
}

// Not exclusive while it waits: the main loop needs the lock to act on the guest's end.
Result<Json> Operations::shut_down(const Json& request) {
    KZ_TRY(const bool reboot, json_bool(request, "reboot"));
    KZ_TRY(const std::uint64_t patience, json_u64(request, "patience"));
    const unsigned before = run_.shutdowns_handled();
    {
        const std::unique_lock lock(run_.operation(), std::try_to_lock);
        if (!lock) return fail(Errc::busy, "another operation on the zone is in progress");
        if (run_.machine() == nullptr) return fail(Errc::wrong_state, "not running");
        if (run_.runtime().state != zone::State::running) {
            return fail(Errc::wrong_state, "shutdown operation is invalid for {} zones.",
                        zone::state_name(run_.runtime().state));
        }
        run_.restart_after_shutdown = reboot;
        KZ_CHECK(run_.set_runtime_state(zone::State::shutting_down, {}));
        if (!ask_to_power_off(run_)) KZ_CHECK(press_power_button());
    }
    // A guest that boots does not hear it yet; one that is ending minds no second word.
    auto left = std::chrono::seconds(std::min(patience, kLongestPatience));
    while (left > kAskAgain) {
        if (run_.wait_for_shutdown(before, kAskAgain)) return Json::object();
        left -= kAskAgain;
        const std::lock_guard lock(run_.operation());
        if (run_.machine() == nullptr || run_.shutdowns_handled() != before) continue;
        KZ_CHECK(press_power_button());
        [[maybe_unused]] const Result<void> asked = ask_to_power_off(run_);
    }
    if (run_.wait_for_shutdown(before, left)) return Json::object();
    const std::lock_guard lock(run_.operation());
    if (run_.shutdowns_handled() != before) return Json::object();
    run_.restart_after_shutdown = false;
    KZ_CHECK(run_.set_runtime_state(zone::State::running, {}));
    return fail(
        Errc::timeout,
        "the guest did not shut down within {} seconds and goes on running; 'halt' powers it off at once",
        patience);
}

Result<Json> Operations::migrate(const Json& request, Caller& caller) {
    if (run_.runtime().state != zone::State::running) {
        return fail(Errc::wrong_state, "migrate operation is invalid for {} zones.",
                    zone::state_name(run_.runtime().state));
    }
    KZ_CHECK(run_.wait_for_memory());
    return migrate_out(run_, request, limits_, caller);
}

// Beside the operation that it changes.
Result<Json> Operations::limit_move(const Json& request) {
    KZ_TRY(const std::uint64_t bandwidth, json_u64(request, "bandwidth_bytes"));
    KZ_CHECK(limits_.set_bandwidth(bandwidth));
    run_.log().info("migration: bandwidth {}",
                    bandwidth == 0 ? "not limited" : fmt::format("limited to {} bytes/s", bandwidth));
    return Json::object();
}

}  // namespace kz::monitor
