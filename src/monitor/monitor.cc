#include "monitor/monitor.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <array>
#include <cstdio>

#include "base/text.h"
#include "monitor/control_server.h"
#include "monitor/guard.h"
#include "monitor/operations.h"
#include "monitor/reconfigure.h"
#include "monitor/start.h"
#include "monitor/zone_run.h"
#include "os/process.h"
#include "os/zone_daemon.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::seconds kLockTime{10};
constexpr std::chrono::seconds kFlushTime{2};
constexpr std::chrono::seconds kDetachTime{30};
constexpr int kIdleTimeMs = 60'000;
constexpr int kArrivalLookMs = 2'000;

enum class Mode { boot = 1, ready, incoming, adopt, guard };

struct Options {
    std::string root;
    std::string zone;
    Mode mode = Mode::boot;
    BootRequest boot;
    bool detach = false;      // start a monitor that is nobody's child, and end
    ProcessIdentity guarded;  // by Mode::guard
};

std::optional<ProcessIdentity> parse_identity(std::string_view text) {
    const std::size_t colon = text.find(':');
    const auto pid = parse_u64(text.substr(0, colon));
    const auto start = colon == text.npos ? std::nullopt : parse_u64(text.substr(colon + 1));
    if (!pid || !start) return std::nullopt;
    return ProcessIdentity{static_cast<pid_t>(*pid), *start};
}

std::optional<Options> read_options(int argc, char** argv) {
    static constexpr std::array kLong{option{"ready", no_argument, nullptr, 'r'},
                                      option{"incoming", no_argument, nullptr, 'i'},
                                      option{"adopt", no_argument, nullptr, 'a'},
                                      option{"discard-image", no_argument, nullptr, 'd'},
                                      option{"eager", no_argument, nullptr, 'e'},
                                      option{"detach", no_argument, nullptr, 'D'},
                                      option{"guard", required_argument, nullptr, 'g'},
                                      option{"boot-args", required_argument, nullptr, 'b'},
                                      option{nullptr, 0, nullptr, 0}};
    Options options;
    for (int letter = 0; (letter = ::getopt_long(argc, argv, "R:z:", kLong.data(), nullptr)) != -1;) {
        switch (letter) {
            case 'R':
                options.root = ::optarg;
                break;
            case 'z':
                options.zone = ::optarg;
                break;
            case 'r':
                options.mode = Mode::ready;
                break;
            case 'i':
                options.mode = Mode::incoming;
                break;
            case 'a':
                options.mode = Mode::adopt;
                break;
            case 'd':
                options.boot.discard_image = true;
                break;
            case 'e':
                options.boot.eager = true;
                break;
            case 'D':
                options.detach = true;
                break;
            case 'g': {
                const auto machine = parse_identity(::optarg);
                if (!machine) return std::nullopt;
                options.mode = Mode::guard;
                options.guarded = *machine;
                break;
            }
            case 'b':
                options.boot.boot_args = ::optarg;
                break;
            default:
                return std::nullopt;
        }
    }
    if (options.zone.empty() || ::optind != argc) return std::nullopt;
    // The guard's way to a monitor; whoever else wants one waits for it (client/client.h).
    if (options.detach && options.mode != Mode::adopt) return std::nullopt;
    return options;
}

Result<UniqueFd> block_signals() {
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t mask;
    ::sigemptyset(&mask);
    for (int number : {SIGTERM, SIGINT, SIGHUP})
        ::sigaddset(&mask, number);
    ::sigprocmask(SIG_BLOCK, &mask, nullptr);
    UniqueFd fd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) return fail_errno(errno, "signalfd");
    return fd;
}

// A machine that nobody watches any more has to be taken over before anything else is done with the zone; the
// record of one that has ended is of no use to anybody.
Result<std::optional<store::RuntimeRecord>> left_machine(const HostPaths& paths, const std::string& zone) {
    Result<store::RuntimeRecord> runtime = store::load_runtime(paths, zone);
    if (!runtime && runtime.error().code() == Errc::not_found) return std::optional<store::RuntimeRecord>();
    if (!runtime) return std::unexpected(std::move(runtime).error());
    if (store::is_alive(runtime->qemu)) return std::optional(std::move(*runtime));
    KZ_CHECK(store::remove_runtime(paths, zone));
    return std::optional<store::RuntimeRecord>();
}

Result<void> begin(ZoneRun& run, const Options& options) {
    KZ_TRY(const std::optional<store::RuntimeRecord> left, left_machine(run.paths(), options.zone));
    if (left) {
        KZ_CHECK(adopt_zone(run, *left));
        if (options.mode == Mode::adopt) return {};
        return fail(Errc::wrong_state, "the zone is already running");
    }
    switch (options.mode) {
        case Mode::adopt:
            return fail(Errc::not_found, "the zone has no machine to take over");
        case Mode::boot:
            return boot_zone(run, options.boot);
        case Mode::ready:
            return ready_zone(run);
        case Mode::incoming:
        case Mode::guard:
            return {};
    }
    return {};
}

// The guest powered itself off, or was asked to.
void handle_shutdown(ZoneRun& run) {
    run.guest_shut_down = false;
    const bool restart = run.restart_after_shutdown.exchange(false);
    const Result<void> done = restart ? reboot_zone(run, {}) : halt_zone(run);
    if (!done) run.log().error("{}", done.error().message());
    run.shutdown_handled();
}

// The zone stays where it came from, unless that host has handed it over already.
Result<void> end_arrival(ZoneRun& run, const std::string& reason) {
    if (run.disk().read_owned(run.uuid())) return halt_zone(run, reason);
    run.drop_machine();
    KZ_CHECK(run.set_down(zone::State::configured, {}));
    run.finish();
    return {};
}

// Its storage is out of reach, or another host's.
void give_up_zone(ZoneRun& run, const std::string& reason) {
    run.end_machine();
    run.console().notice("halted");
    const std::string advice = fmt::format("; once the storage answers: zoneadm -z {} attach", run.zone());
    if (const Result<void> recorded = run.set_down(zone::State::unavailable, {}, reason + advice); !recorded)
        run.log().error("{}", recorded.error().message());
    run.finish();
}

void handle_machine_end(ZoneRun& run) {
    const ZoneRun::FenceReason fenced = run.fence_reason();
    const std::string lost = run.memory_lost_reason();
    const std::string reason =
        !lost.empty() ? lost
        : !fenced.text.empty()
            ? "the zone's machine was ended: " + fenced.text
            : fmt::format("the zone's machine ended unexpectedly: {}; see {}", run.machine()->end_reason(),
                          (run.paths().log_dir() / (run.zone() + ".qemu.log")).string());
    run.log().error("{}", reason);
    const bool arriving = run.runtime().aux.contains(zone::Aux::migrating_in);
    if (lost.empty() && !fenced.text.empty() && !arriving) return give_up_zone(run, reason);
    if (const Result<void> ended = arriving ? end_arrival(run, reason) : halt_zone(run, reason); !ended)
        run.log().error("{}", ended.error().message());
}

void handle_broken_arrival(ZoneRun& run) {
    if (!run.runtime().aux.contains(zone::Aux::migrating_in)) return;
    run.log().error("the migration to this host was broken off");
    if (const Result<void> ended = end_arrival(run, "its memory did not arrive whole"); !ended)
        run.log().error("{}", ended.error().message());
}

void show_panicked(ZoneRun& run, std::string_view why) {
    run.log().error("{}", why);
    if (const Result<void> shown = run.set_runtime_state(run.runtime().state, {zone::Aux::panicked}); !shown)
        run.log().error("{}", shown.error().message());
}

// A guest that was reported hanging and begins anew, as a watchdog's guest may, is what it was before.
void handle_new_beginning(ZoneRun& run) {
    if (!run.runtime().aux.contains(zone::Aux::panicked)) return;
    if (const Result<void> shown = run.set_runtime_state(run.runtime().state, {}); !shown)
        run.log().error("{}", shown.error().message());
}

// What does not concern an operation that is under way; it waits for that.
void look_at_guest(ZoneRun& run) {
    const std::unique_lock lock(run.operation(), std::try_to_lock);
    if (!lock || run.finished() || run.machine() == nullptr) return;
    if (run.guest_began_anew.exchange(false)) handle_new_beginning(run);
    if (run.guest_hangs.exchange(false)) show_panicked(run, "the guest hangs: its watchdog was not fed");
    take_away_left_devices(run);
}

// What QEMU reported is acted on when no operation is under way; one that is gets interrupted.
void look_at_machine(ZoneRun& run) {
    look_at_guest(run);
    const bool reported = run.guest_shut_down || run.guest_panicked || run.machine_lost;
    if ((!reported && !run.arrival_broken) || run.finished()) return;
    if (reported) run.interrupt().signal();
    const std::lock_guard lock(run.operation());
    if (run.finished() || run.machine() == nullptr) return;
    if (run.machine_lost.exchange(false)) return handle_machine_end(run);
    if (run.arrival_broken.exchange(false)) return handle_broken_arrival(run);
    if (run.guest_shut_down) return handle_shutdown(run);
    if (run.guest_panicked.exchange(false)) show_panicked(run, "the guest panicked");
}

// False: an operation is under way, and it is to be tried again.
bool show_memory(ZoneRun& run) {
    const std::unique_lock lock(run.operation(), std::try_to_lock);
    if (!lock) return false;
    const std::optional<zone::AuxSet> aux = run.take_shown_memory();
    const bool runs = run.machine() != nullptr && run.runtime().state == zone::State::running;
    if (!aux || !runs || run.finished() || run.runtime().aux.contains(zone::Aux::panicked)) return true;
    if (const Result<void> shown = run.set_runtime_state(zone::State::running, *aux); !shown)
        run.log().error("{}", shown.error().message());
    return true;
}

// Started for a zone that was to come from another host, and nobody has said what to do since.
bool forgotten(ZoneRun& run) {
    const std::unique_lock lock(run.operation(), std::try_to_lock);
    return lock && run.machine() == nullptr;
}

void run_until_finished(ZoneRun& run, Operations& operations, int signal_fd) {
    while (!run.finished()) {
        std::array<pollfd, 2> polled{pollfd{run.wake().fd(), POLLIN, 0}, pollfd{signal_fd, POLLIN, 0}};
        const bool busy = operations.arriving() || !show_memory(run);
        const int ready = ::poll(polled.data(), polled.size(), busy ? kArrivalLookMs : kIdleTimeMs);
        if (ready < 0) continue;
        if (ready == 0) {
            operations.look_at_arrival();
            if (!operations.arriving() && forgotten(run)) run.finish();
            continue;
        }
        run.wake().reset();
        if (polled[1].revents != 0) {
            signalfd_siginfo info{};
            [[maybe_unused]] const ssize_t got = ::read(signal_fd, &info, sizeof info);
            run.ending = true;
            run.interrupt().signal();
            const std::lock_guard lock(run.operation());
            if (run.machine() != nullptr && !run.finished()) {
                run.log().info("signal {}: halting the zone", info.ssi_signo);
                [[maybe_unused]] const Result<void> halted = halt_zone(run);
            }
            run.finish();
        }
        look_at_machine(run);
    }
}

Result<void> supervise(const HostPaths& paths, const Options& options, int signal_fd) {
    KZ_CHECK(make_directories(paths.zone_run_dir(options.zone), 0755));
    Result<FileLock> lock =
        FileLock::acquire(paths.zone_run_dir(options.zone) / "monitor.lock", Deadline::after(kLockTime));
    if (!lock) return std::unexpected(std::move(lock).error().context("the zone already has a monitor"));
    KZ_TRY(const std::unique_ptr<ZoneRun> run, ZoneRun::open(paths, options.zone));
    Operations operations(*run);
    // Held until the zone is up, so that no operation sees it half started.
    std::unique_lock starting(run->operation());
    KZ_TRY(std::unique_ptr<ControlServer> server,
           ControlServer::open(
               paths.control_socket(options.zone),
               [&](const Json& request, Caller& caller) { return operations.handle(request, caller); },
               [&] { run->interrupt().signal(); }));
    const Result<void> begun = begin(*run, options);
    if (!begun) {
        run->log().error("{}", begun.error().message());
        if (run->machine() == nullptr) {
            run->console().flush(Deadline::after(kFlushTime));
            return begun;
        }
    }
    starting.unlock();
    run->is_ready();
    report_ready(begun);
    run_until_finished(*run, operations, signal_fd);
    server.reset();
    run->console().flush(Deadline::after(kFlushTime));
    return {};
}

Result<void> start_detached(const HostPaths& paths, const std::string& zone) {
    const std::string program = HostPaths::program("zoneadmd").string();
    return spawn_zone_daemon(
        paths, {.zone = zone, .argv = {program, "-R", paths.root().string(), "-z", zone, "--adopt"}},
        Deadline::after(kDetachTime));
}

}  // namespace

int monitor_main(int argc, char** argv) {
    const std::optional<Options> options = read_options(argc, argv);
    if (!options) {
        fmt::print(
            stderr,
            "usage: zoneadmd -z zonename [-R root] [--ready|--incoming|--adopt [--detach]] [--discard-image] "
            "[--eager] [--boot-args ARGS]\n"
            "       zoneadmd -z zonename [-R root] --guard PID:START\n");
        return 2;
    }
    const auto run = [&]() -> Result<void> {
        KZ_TRY(const HostPaths paths, HostPaths::from_environment(options->root));
        if (options->mode == Mode::guard) return guard_machine(paths, options->zone, options->guarded);
        if (options->detach) return start_detached(paths, options->zone);
        KZ_TRY(const UniqueFd signals, block_signals());
        return supervise(paths, *options, signals.get());
    };
    const Result<void> outcome = run();
    if (outcome) return 0;
    report_ready(outcome);
    fmt::print(stderr, "zoneadmd: zone '{}': {}\n", options->zone, outcome.error().message());
    return 1;
}

}  // namespace kz::monitor
