#include "monitor/guard.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/json.h"
#include "base/log.h"
#include "os/fence.h"
#include "os/file.h"
#include "os/socket.h"
#include "os/zone_daemon.h"

namespace kz::monitor {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kConnectTime{2};
constexpr std::chrono::seconds kStartTime{10};
constexpr std::chrono::seconds kAnswerTime{3};
// A monitor that was started must have connected after this time; then another one is tried.
constexpr std::chrono::seconds kAdoptionTime{10};
constexpr unsigned kAdoptions = 3;
constexpr int kLookAgainMs = 500;

Path guard_socket(const HostPaths& paths, const std::string& zone) {
    return paths.zone_run_dir(zone) / "guard.sock";
}

// Of a file, whatever becomes of its name. Nothing: there is none of that name.
std::optional<std::pair<dev_t, ino_t>> file_identity(const Path& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) < 0) return std::nullopt;
    return std::pair(status.st_dev, status.st_ino);
}

class Watch {
  public:
    Watch(const HostPaths& paths, std::string zone, Process machine, UniqueFd listener, UniqueFd log)
        : paths_(paths),
          zone_(std::move(zone)),
          machine_(std::move(machine)),
          listener_(std::move(listener)),
          socket_(file_identity(guard_socket(paths_, zone_))),
          log_(std::move(log), fmt::format("guard[{}]", ::getpid())) {}

    void run();

  private:
    int next_look_ms() const;
    void accept_monitor();
    void hear_monitor();
    Result<bool> take_note(const Json& words);
    void monitor_died();
    void start_monitor();
    void reap_started();
    bool must_fence() const { return until_ && BootClock::now() >= *until_; }
    bool superseded() const;
    Deadline hearing_time() const;

    const HostPaths& paths_;
    std::string zone_;
    Process machine_;
    UniqueFd listener_;
    std::optional<std::pair<dev_t, ino_t>> socket_;  // the listener's name
    UniqueFd monitor_;
    Log log_;
    std::optional<BootClock::time_point> until_;
    std::optional<Process> started_;
    std::optional<Deadline> adoption_;  // set while a new monitor is awaited
    unsigned adoptions_ = 0;
};

// The boot clock may run ahead of poll's (the host slept): so never too far.
int Watch::next_look_ms() const {
    if (!until_) return adoption_ ? kLookAgainMs : -1;
    const auto left = std::chrono::ceil<milliseconds>(*until_ - BootClock::now()).count();
    return static_cast<int>(std::clamp<long long>(left, 0, kLookAgainMs));
}

// A monitor that waited too long for an answer of ours has given the machine to another guard: what we were
// told last is out of date, and must not end a machine whose lease is good.
bool Watch::superseded() const {
    const auto now = file_identity(guard_socket(paths_, zone_));
    return now && now != socket_;
}

// A monitor that stops in the middle of a word must not keep us from the moment.
Deadline Watch::hearing_time() const {
    if (!until_) return Deadline::after(kAnswerTime);
    const auto left = std::chrono::ceil<milliseconds>(*until_ - BootClock::now());
    return Deadline::after(std::clamp(left, milliseconds(0), milliseconds(kAnswerTime)));
}

void Watch::accept_monitor() {
    Result<UniqueFd> connection = accept_connection(listener_.get(), Deadline::after(milliseconds(0)));
    if (!connection) return;
    monitor_ = std::move(*connection);
    adoption_.reset();
    adoptions_ = 0;
}

Result<bool> Watch::take_note(const Json& words) {
    if (const auto moment = json_u64(words, "until")) {
        until_ = BootClock::time_point(std::chrono::nanoseconds(*moment));
        return true;
    }
    if (const auto pid = json_u64(words, "machine")) {
        KZ_TRY(const std::uint64_t start_time, json_u64(words, "start_time"));
        return ProcessIdentity{static_cast<pid_t>(*pid), start_time} == machine_.identity();
    }
    KZ_TRY(const bool stopped, json_bool(words, "stopped"));
    if (stopped) until_.reset();
    return stopped;
}

void Watch::hear_monitor() {
    const auto hear = [&]() -> Result<void> {
        KZ_TRY(const Message message, receive_message(monitor_.get(), hearing_time()));
        KZ_TRY(const Json words, parse_json(message.text));
        KZ_TRY(const bool noted, take_note(words));
        return send_message(monitor_.get(), Json{{"ok", noted}}.dump(), {}, Deadline::after(kAnswerTime));
    };
    if (!hear()) monitor_died();
}

void Watch::monitor_died() {
    monitor_.reset();
    if (!machine_.alive()) return;
    log_.error("the zone's monitor is gone; starting another one");
    start_monitor();
}

void Watch::start_monitor() {
    adoption_ = Deadline::after(kAdoptionTime);
    ++adoptions_;
    SpawnOptions options;
    options.argv = {
        HostPaths::program("zoneadmd").string(), "-R", paths_.root().string(), "-z", zone_, "--adopt"};
    // A child of ours would end with us.
    if (zones_are_units(paths_)) options.argv.emplace_back("--detach");
    options.new_session = true;
    Result<Process> started = Process::spawn(options);
    if (!started) return log_.error("starting a monitor: {}", started.error().message());
    started_ = std::move(*started);
}

void Watch::reap_started() {
    if (started_ && !started_->alive()) {
        [[maybe_unused]] const auto reason = started_->wait(Deadline::after(milliseconds(0)));
        started_.reset();
    }
    if (!adoption_ || !adoption_->passed()) return;
    if (adoptions_ < kAdoptions) return start_monitor();
    // The next command on the zone adopts the machine, if its lease has not run out by then.
    adoption_.reset();
    log_.error("no new monitor came up");
}

void Watch::run() {
    while (machine_.alive()) {
        std::array<pollfd, 4> polled{pollfd{machine_.pidfd(), POLLIN, 0}, pollfd{listener_.get(), POLLIN, 0},
                                     pollfd{monitor_.get(), POLLIN, 0},
                                     pollfd{started_ ? started_->pidfd() : -1, POLLIN, 0}};
        if (::poll(polled.data(), polled.size(), next_look_ms()) < 0) continue;
        if (polled[0].revents != 0) break;
        if ((must_fence() || polled[2].revents != 0) && superseded()) break;
        if (must_fence()) {
            log_.error("the lease on the storage has run out: ending the zone's machine");
            fence_process(machine_);
            break;
        }
        if (polled[2].revents != 0) hear_monitor();
        if (polled[1].revents != 0) accept_monitor();
        reap_started();
    }
}

}  // namespace

Result<GuardLink> GuardLink::open(const HostPaths& paths, const std::string& zone,
                                  const ProcessIdentity& machine) {
    const Path socket = guard_socket(paths, zone);
    if (Result<UniqueFd> fd = unix_connect(socket, Deadline::after(kConnectTime))) {
        GuardLink link(std::move(*fd));
        // A guard of an earlier machine is on its way out and does not answer for this one.
        const Json words{{"machine", machine.pid}, {"start_time", machine.start_time}};
        if (link.tell(words.dump())) return link;
    }
    const std::vector<std::string> argv{HostPaths::program("zoneadmd").string(),
                                        "-R",
                                        paths.root().string(),
                                        "-z",
                                        zone,
                                        "--guard",
                                        fmt::format("{}:{}", machine.pid, machine.start_time)};
    const ZoneDaemon guard{
        .kind = ZoneDaemon::Kind::guard, .zone = zone, .machine = machine.pid, .argv = argv};
    KZ_CHECK_CONTEXT(spawn_zone_daemon(paths, guard, Deadline::after(kStartTime)), "the machine's guard");
    KZ_TRY_CONTEXT(UniqueFd fd, unix_connect(socket, Deadline::after(kConnectTime)), "the machine's guard");
    return GuardLink(std::move(fd));
}

Result<void> GuardLink::tell(const std::string& message) {
    KZ_CHECK_CONTEXT(send_message(fd_.get(), message, {}, Deadline::after(kAnswerTime)),
                     "the machine's guard");
    KZ_TRY_CONTEXT(const Message answer, receive_message(fd_.get(), Deadline::after(kAnswerTime)),
                   "the machine's guard");
    KZ_TRY(const Json words, parse_json(answer.text));
    if (json_bool(words, "ok").value_or(false)) return {};
    return fail(Errc::protocol, "the machine's guard refused");
}

Result<void> GuardLink::may_run_until(BootClock::time_point moment) {
    return tell(Json{{"until", moment.time_since_epoch().count()}}.dump());
}

Result<void> GuardLink::has_stopped() {
    return tell(R"({"stopped": true})");
}

Result<void> guard_machine(const HostPaths& paths, const std::string& zone, const ProcessIdentity& machine) {
    KZ_TRY(Process process, Process::adopt(machine));
    KZ_TRY(UniqueFd log, open_file(paths.log_dir() / (zone + ".log"), O_WRONLY | O_CREAT | O_APPEND, 0600));
    KZ_TRY(UniqueFd listener, unix_listen(guard_socket(paths, zone), 0600));
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE})
        ::signal(number, SIG_IGN);
    report_ready({});
    Watch(paths, zone, std::move(process), std::move(listener), std::move(log)).run();
    return {};
}

}  // namespace kz::monitor
