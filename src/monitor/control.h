// The control socket of a zone's monitor: the words that the client API and the monitor say to each other.
//
// Theory of operation. One request a connection: a message (os/socket.h) with a JSON object whose "op" names
// the operation. The monitor answers with any number of notes while it works and one outcome at the end:
//   {"message": TEXT}      a line for the user, such as a phase of a migration
//   {"progress": {...}}    figures, replacing those before
//   {"ok": {...}}          done; the object is the operation's result
//   {"error": {"code": NAME, "message": TEXT}}
// A request may come with descriptors; which, its operation says. While a long operation runs the client may
// send {"op": "cancel"} on the same connection; the outcome says
// what became of it. Root alone may connect.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/json.h"
#include "os/deadline.h"
#include "os/paths.h"

namespace kz::monitor {

Json outcome_to_json(const Result<Json>& outcome);

// The client's half.
class ControlClient {
  public:
    // Errc::not_found when the zone has no monitor.
    static Result<ControlClient> connect(const HostPaths& paths, std::string_view zone);

    struct Listener {
        std::function<void(const std::string&)> message;
        std::function<void(const Json&)> progress;
    };
    // Sends the request and waits for the outcome, handing notes to the listener. When `cancel_fd` becomes
    // readable a cancel is sent, once, and the outcome is still waited for: only the monitor knows whether it
    // came in time. `fds` go to the monitor: they
    // are closed here as soon as it has them.
    Result<Json> call(const Json& request, const Listener& listener, Deadline deadline, int cancel_fd = -1,
                      std::vector<UniqueFd> fds = {});
    Result<Json> call(const Json& request, Deadline deadline) { return call(request, Listener{}, deadline); }

  private:
    explicit ControlClient(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace kz::monitor
