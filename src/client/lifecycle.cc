// boot, ready, halt, shutdown, reboot, suspend: what starts a zone's monitor or asks it.
#include "client/client.h"
#include "client/locked_zone.h"
#include "client/storage.h"
#include "monitor/control.h"
#include "monitor/live_record.h"
#include "os/zone_daemon.h"
#include "store/runtime.h"
#include "zone/export.h"

namespace kz::client {
namespace {

using monitor::ControlClient;

// Resuming reads a whole image; TCG guests on busy machines start slowly.
constexpr std::chrono::minutes kStartTime{10};
constexpr std::chrono::minutes kOperationTime{2};
constexpr std::chrono::hours kLongOperationTime{12};

Result<void> start_monitor(const HostPaths& paths, const std::string& zone,
                           std::vector<std::string> options) {
    std::vector<std::string> argv{HostPaths::program("zoneadmd").string(), "-R", paths.root().string(), "-z",
                                  zone};
    argv.insert(argv.end(), options.begin(), options.end());
    return spawn_zone_daemon(paths, {.zone = zone, .argv = std::move(argv)}, Deadline::after(kStartTime));
}

// A machine that a killed monitor left behind gets a new one, which brings it to a definite state.
Result<void> adopt_left_machine(const HostPaths& paths, const store::Registry& registry,
                                const std::string& zone) {
    KZ_TRY(const store::ZoneStatus status, store::status_of(registry, zone));
    if (!status.has_machine || status.has_monitor) return {};
    const Result<void> started = start_monitor(paths, zone, {"--adopt"});
    if (started) return {};
    // The machine's guard may have been quicker.
    KZ_TRY(const store::ZoneStatus now, store::status_of(registry, zone));
    return now.has_machine && !now.has_monitor ? started : Result<void>();
}

monitor::ControlClient::Listener listener_of(const Reporter& reporter) {
    return {.message = reporter.message, .progress = reporter.progress};
}

}  // namespace

Result<void> Client::boot(const std::string& zone, const BootOptions& options, const Reporter& reporter) {
    KZ_CHECK(start(zone, options, reporter));
    return options.wait ? wait_until_usable(zone, *options.wait) : Result<void>();
}

Result<void> Client::wait_until_usable(const std::string& zone, std::chrono::seconds patience) {
    const Result<Json> done = ask_monitor(zone, "wait-usable", {{"patience", patience.count()}}, {});
    if (done) return {};
    return std::unexpected(Error(done.error()).context(fmt::format("waited {} seconds", patience.count())));
}

Result<void> Client::start(const std::string& zone, const BootOptions& options, const Reporter& reporter) {
    KZ_CHECK(adopt_left_machine(paths(), registry_, zone));
    KZ_TRY(LockedZone locked, LockedZone::take(registry_, zone));
    if (locked.status().state == zone::State::ready) {
        KZ_TRY(ControlClient control, ControlClient::connect(paths(), zone));
        const Result<Json> booted =
            control.call({{"op", "boot"}, {"boot_args", options.boot_args}}, Deadline::after(kOperationTime));
        return booted ? Result<void>() : std::unexpected(booted.error());
    }
    if (locked.status().state != zone::State::installed) return locked.wrong_state("boot");
    KZ_CHECK(verify(zone, {}));
    KZ_TRY(const zone::Config config, registry_.load_config(zone));
    if (const auto owned = check_ownership(registry_, config, locked.status().uuid); !owned) {
        KZ_CHECK(locked.put_state(zone::State::unavailable, owned.error().message()));
        return std::unexpected(owned.error());
    }
    std::vector<std::string> arguments;
    if (options.discard_image) {
        if (locked.status().aux.contains(zone::Aux::suspended))
            reporter.say("discarding the suspend image; the zone boots afresh.");
        arguments.emplace_back("--discard-image");
    }
    if (options.eager) arguments.emplace_back("--eager");
    if (!options.boot_args.empty()) arguments.insert(arguments.end(), {"--boot-args", options.boot_args});
    return start_monitor(paths(), zone, std::move(arguments));
}

Result<void> Client::ready(const std::string& zone) {
    KZ_TRY(const LockedZone locked, LockedZone::take(registry_, zone));
    if (locked.status().state != zone::State::installed) return locked.wrong_state("ready");
    return start_monitor(paths(), zone, {"--ready"});
}

Result<void> Client::start_incoming(const std::string& zone) {
    KZ_TRY(const LockedZone locked, LockedZone::take(registry_, zone));
    if (locked.status().state >= zone::State::ready) return locked.wrong_state("migrate");
    return start_monitor(paths(), zone, {"--incoming"});
}

Result<Json> Client::ask_monitor(const std::string& zone, std::string_view operation, Json request,
                                 const Reporter& reporter, std::vector<UniqueFd> fds) {
    KZ_CHECK(adopt_left_machine(paths(), registry_, zone));
    Result<ControlClient> control = ControlClient::connect(paths(), zone);
    if (!control && control.error().code() == Errc::not_found) {
        KZ_TRY(const LockedZone locked, LockedZone::take(registry_, zone));
        return locked.wrong_state(operation);
    }
    if (!control) return std::unexpected(std::move(control).error());
    request["op"] = operation;
    return control->call(request, listener_of(reporter), Deadline::after(kLongOperationTime),
                         reporter.cancel_fd, std::move(fds));
}

Result<void> Client::halt(const std::string& zone) {
    const Result<Json> halted = ask_monitor(zone, "halt", Json::object(), {});
    return halted ? Result<void>() : std::unexpected(halted.error());
}

Result<void> Client::shutdown(const std::string& zone, bool reboot, std::chrono::seconds patience,
                              const Reporter& reporter) {
    const Json request{{"reboot", reboot}, {"patience", patience.count()}};
    const Result<Json> done = ask_monitor(zone, "shutdown", request, reporter);
    return done ? Result<void>() : std::unexpected(done.error());
}

Result<void> Client::reboot(const std::string& zone, const BootOptions& options) {
    const Result<Json> done = ask_monitor(zone, "reboot", {{"boot_args", options.boot_args}}, {});
    return done ? Result<void>() : std::unexpected(done.error());
}

Result<void> Client::suspend(const std::string& zone, const Reporter& reporter,
                             const SuspendOptions& options) {
    const Json request{{"stop_first", options.stop_first}, {"old_layout", options.old_layout}};
    const Result<Json> done = ask_monitor(zone, "suspend", request, reporter);
    return done ? Result<void>() : std::unexpected(done.error());
}

Result<Json> Client::apply(const std::string& zone, const ApplyOptions& options, const Reporter& reporter) {
    Json request{{"dry_run", options.dry_run}};
    if (options.configuration)
        request["configuration"] = zone::export_text(*options.configuration, /*with_secrets=*/false);
    return ask_monitor(zone, "apply", std::move(request), reporter);
}

Result<zone::Config> Client::live_configuration(const std::string& zone) const {
    KZ_TRY(const store::ZoneStatus status, store::status_of(registry_, zone));
    if (status.state != zone::State::running)
        return fail(Errc::wrong_state, "zone '{}' is not running", zone);
    KZ_TRY(const store::RuntimeRecord runtime, store::load_runtime(paths(), zone));
    KZ_TRY(const zone::Config stored, registry_.load_config(zone));
    return monitor::live_config(runtime, stored);
}

}  // namespace kz::client
