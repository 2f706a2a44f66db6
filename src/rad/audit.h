// Audit: who did what to this host's zones from afar, from where, and with what outcome. For src/rad.
//
// Theory of operation: var/log/zones/audit.jsonl, mode 0600, one JSON object a line, added with one append.
// The file is opened for each line, so that it may be renamed away at any time.
//
//   {"when": "2026-11-22T02:30:00.123Z", "who": "node1", "from": "192.0.2.1", "role": "full",
//    "what": "POST /api/1/zones/ant1/state", "zone": "ant1", "action": "boot", "outcome": "ok"}
//
// outcome is ok or an error's code, with its message. Actions are written before they are answered. What
// strangers cause is written at most once a second, after a burst of 20, with a count of what was left out,
// so that whoever knocks often does not fill the disk.
#pragma once

#include <mutex>

#include "base/json.h"
#include "base/log.h"
#include "os/deadline.h"
#include "os/paths.h"

namespace kz::rad {

// Thread-safe. What cannot be written is told in the log.
class Audit {
  public:
    // `log` outlives it.
    Audit(HostPaths paths, Log& log) : paths_(std::move(paths)), log_(log) {}

    // Adds "when".
    void action(Json entry);
    // As action(), within the limit of strangers.
    void stranger(Json entry);

  private:
    void write(Json entry);

    HostPaths paths_;
    Log& log_;
    std::mutex mutex_;
    double allowance_ = kBurst;
    Deadline::Clock::time_point counted_ = Deadline::Clock::now();
    std::uint64_t left_out_ = 0;
    static constexpr double kBurst = 20;
};

}  // namespace kz::rad
