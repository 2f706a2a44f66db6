// ZoneWatch: notices every change of a zone's state and publishes it. For rad/administration.cc.
//
// Theory of operation. States are files (store/record.h, store/runtime.h) and processes, so nothing is asked
// at intervals: inotify tells when a file that matters is replaced in etc/zones, var/lib/zones/ZONE or
// run/zones/ZONE, and pidfds tell when a monitor or a machine dies, which changes no file. After either all
// zones are read again and compared with what was known; a burst of changes is waited out for kSettle, so
// that reading happens at most ten times a second whatever goes on.
//
// Events: {"type": "zone", "zone", "state", "auxiliary", "previous"}, "previous" being the former state or
// missing for a new zone; {"type": "zone-removed", "zone"}.
#pragma once

#include <map>
#include <thread>
#include <vector>

#include "base/log.h"
#include "os/io.h"
#include "os/process.h"
#include "rad/event_hub.h"
#include "store/registry.h"

namespace kz::rad {

class ZoneWatch {
  public:
    // Makes the folders that it watches; what there is at this moment is known and not told. All outlive it.
    static Result<std::unique_ptr<ZoneWatch>> start(const HostPaths& paths, EventHub& hub, Log& log);
    ~ZoneWatch();
    ZoneWatch(const ZoneWatch&) = delete;
    ZoneWatch& operator=(const ZoneWatch&) = delete;

  private:
    ZoneWatch(store::Registry registry, EventHub& hub, Log& log, UniqueFd inotify, EventFd stop)
        : registry_(std::move(registry)),
          hub_(hub),
          log_(log),
          inotify_(std::move(inotify)),
          stop_(std::move(stop)) {}
    void run();
    // False when it shall stop. True when something has changed.
    bool wait_for_change();
    bool drain();
    void watch_folders();
    void watch_processes();
    void add_watch(const Path& folder);
    void compare(bool tell);

    store::Registry registry_;
    EventHub& hub_;
    Log& log_;
    UniqueFd inotify_;
    EventFd stop_;
    std::map<std::string, Json, std::less<>> known_;
    std::vector<Process> processes_;
    std::thread thread_;
};

}  // namespace kz::rad
