#include "rad/zone_watch.h"

#include <poll.h>
#include <sys/inotify.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "os/file.h"
#include "store/runtime.h"
#include "store/zone_json.h"

namespace kz::rad {
namespace {

constexpr std::chrono::milliseconds kSettle{100};
constexpr std::uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE;

// Locks, logs and sockets come and go in the same folders.
bool matters(const inotify_event& event) {
    if ((event.mask & (IN_ISDIR | IN_IGNORED | IN_Q_OVERFLOW)) != 0) return true;
    const std::string_view name = event.len > 0 ? event.name : "";
    return name == "state.json" || name == "runtime.json" || name.ends_with(".cfg");
}

}  // namespace

Result<std::unique_ptr<ZoneWatch>> ZoneWatch::start(const HostPaths& paths, EventHub& hub, Log& log) {
    for (const Path& folder : {paths.etc_zones(), paths.zones_dir(), paths.run_dir()})
        KZ_CHECK(make_directories(folder, 0755));
    KZ_TRY(store::Registry registry, store::Registry::open(paths));
    UniqueFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!inotify) return fail_errno(errno, "inotify");
    KZ_TRY(EventFd stop, EventFd::create());
    std::unique_ptr<ZoneWatch> watch(
        new ZoneWatch(std::move(registry), hub, log, std::move(inotify), std::move(stop)));
    watch->watch_folders();
    watch->compare(/*tell=*/false);
    try {
        watch->thread_ = std::thread([self = watch.get()] { self->run(); });
    } catch (const std::system_error& error) {
        return fail(Errc::unavailable, "no thread to watch the zones: {}", error.what());
    }
    return watch;
}

ZoneWatch::~ZoneWatch() {
    stop_.signal();
    if (thread_.joinable()) thread_.join();
}

void ZoneWatch::run() {
    while (wait_for_change()) {
        if (wait_readable(stop_.fd(), Deadline::after(kSettle))) return;
        drain();
        // Watched before they are read: a change in between is noticed by the next round.
        watch_folders();
        compare(/*tell=*/true);
    }
}

bool ZoneWatch::wait_for_change() {
    while (true) {
        std::vector<pollfd> polled{{stop_.fd(), POLLIN, 0}, {inotify_.get(), POLLIN, 0}};
        for (const Process& process : processes_)
            polled.push_back({process.pidfd(), POLLIN, 0});
        const int ready = ::poll(polled.data(), polled.size(), -1);
        if (ready < 0 && errno != EINTR) {
            log_.error("watching the zones: {}", Error::from_errno(errno, "poll").message());
            return false;
        }
        if (polled[0].revents != 0) return false;
        bool changed = polled[1].revents != 0 && drain();
        for (std::size_t i = 2; i < polled.size(); ++i)
            changed = changed || polled[i].revents != 0;
        if (changed) return true;
    }
}

// Takes all events; whether one of them matters.
bool ZoneWatch::drain() {
    alignas(inotify_event) std::array<char, 16 * 1024> buffer;
    bool changed = false;
    for (auto got = ::read(inotify_.get(), buffer.data(), buffer.size()); got > 0;
         got = ::read(inotify_.get(), buffer.data(), buffer.size())) {
        for (const char* at = buffer.data(); at < buffer.data() + got;) {
            const auto* event = reinterpret_cast<const inotify_event*>(at);
            changed = changed || matters(*event);
            at += sizeof(inotify_event) + event->len;
        }
    }
    return changed;
}

// Adding a watch that is there changes nothing.
void ZoneWatch::add_watch(const Path& folder) {
    const int added = ::inotify_add_watch(inotify_.get(), folder.c_str(), kEvents | IN_ONLYDIR);
    if (added < 0 && errno != ENOENT && errno != ENOTDIR)
        log_.error("{}", Error::from_errno(errno, "watching " + folder.string()).message());
}

void ZoneWatch::watch_folders() {
    const HostPaths& paths = registry_.paths();
    for (const Path& folder : {paths.etc_zones(), paths.zones_dir(), paths.run_dir()})
        add_watch(folder);
    const auto names = registry_.names();
    if (!names) return;
    for (const std::string& zone : *names) {
        add_watch(paths.zone_dir(zone));
        add_watch(paths.zone_run_dir(zone));
    }
    watch_processes();
}

void ZoneWatch::watch_processes() {
    processes_.clear();
    const auto names = registry_.names();
    if (!names) return;
    for (const std::string& zone : *names) {
        const auto runtime = store::load_runtime(registry_.paths(), zone);
        if (!runtime) continue;
        for (const auto& identity : {runtime->monitor, runtime->qemu}) {
            auto process = identity ? Process::adopt(*identity) : fail(Errc::not_found, "none");
            if (process) processes_.push_back(*std::move(process));
        }
    }
}

void ZoneWatch::compare(bool tell) {
    const auto statuses = store::list_statuses(registry_);
    if (!statuses) return log_.error("watching the zones: {}", statuses.error().message());
    std::map<std::string, Json, std::less<>> now;
    for (const store::ZoneStatus& status : *statuses) {
        // What a guest says is no change of its zone's state.
        now[status.name] = store::describe_zone(status);
        now[status.name].erase("guest");
    }
    for (const auto& [name, zone] : now) {
        const auto before = known_.find(name);
        if (!tell || (before != known_.end() && before->second == zone)) continue;
        Json event{
            {"type", "zone"}, {"zone", name}, {"state", zone["state"]}, {"auxiliary", zone["auxiliary"]}};
        if (before != known_.end()) event["previous"] = before->second["state"];
        hub_.publish(std::move(event));
    }
    for (const auto& [name, zone] : known_)
        if (tell && !now.contains(name)) hub_.publish({{"type", "zone-removed"}, {"zone", name}});
    known_ = std::move(now);
}

}  // namespace kz::rad
