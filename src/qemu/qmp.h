// Qmp: a client of QEMU's monitor protocol over a connected unix stream socket. For the monitor and the
// probe.
//
// One connection has one reader thread, which matches replies to commands by their id and hands out events.
// All functions may be called from any thread but the reader's own (that is: not from a handler). QEMU talks
// to one client per listening socket at a time; who attaches second waits until the first has closed.
//
// What QEMU sends is not trusted: a line of more than 64 MiB, anything that is not a QMP message and a reply
// to a command that was never sent end the connection.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "os/deadline.h"
#include "os/io.h"

namespace kz::qemu {

struct QmpEvent {
    std::string name;                   // "SHUTDOWN"
    nlohmann::json data;                // an object; empty when the event has none
    std::int64_t timestamp_micros = 0;  // of QEMU's wall clock, since 1970
};

// Both are called on the reader thread and must be brief.
struct QmpHandlers {
    // Every event since the greeting, in order.
    std::function<void(const QmpEvent&)> on_event = {};
    // Once, when the connection is lost or given up, but not when the Qmp is being destroyed.
    // Errc::unavailable: QEMU closed it; Errc::protocol: QEMU sent what is not QMP.
    std::function<void(const Error&)> on_close = {};
};

class Qmp {
  public:
    static constexpr std::chrono::seconds kCommandTimeout{30};

    // Waits for the greeting and negotiates. Errors: Errc::timeout (another client holds the monitor, or QEMU
    // hangs), Errc::unavailable, Errc::protocol.
    static Result<std::unique_ptr<Qmp>> attach(UniqueFd socket, Deadline deadline, QmpHandlers handlers = {});
    // Ends the connection; commands still waiting get Errc::cancelled.
    ~Qmp();
    Qmp(const Qmp&) = delete;
    Qmp& operator=(const Qmp&) = delete;

    // The value of "return". A QMP error is "CLASS: desc" with Errc::not_found for CommandNotFound and
    // DeviceNotFound, Errc::io for GenericError and others. Errc::timeout: no reply in time (it may still be
    // carried out; a late reply is dropped). Errc::unavailable: the connection is lost.
    Result<nlohmann::json> execute(std::string_view command,
                                   nlohmann::json arguments = nlohmann::json::object(),
                                   Deadline deadline = Deadline::after(kCommandTimeout));
    // As execute, with a descriptor that rides on the command (getfd, add-fd). It stays the caller's.
    Result<nlohmann::json> execute_with_fd(std::string_view command, nlohmann::json arguments, int fd,
                                           Deadline deadline = Deadline::after(kCommandTimeout));

    bool connected() const;
    // The greeting's QMP.version.qemu.
    const nlohmann::json& version() const;

  private:
    friend class EventWait;
    class Connection;
    explicit Qmp(std::unique_ptr<Connection> connection);
    std::unique_ptr<Connection> connection_;
};

// A subscription: keeps every event of the given names from its making on, until somebody asks for it. So:
// make it, then cause or look for the thing, then wait. It must not outlive its Qmp.
class EventWait {
  public:
    // No names: every event. Errors: those of an exhausted system.
    static Result<EventWait> subscribe(Qmp& qmp, std::vector<std::string> names);
    ~EventWait();
    EventWait(EventWait&&) noexcept;
    EventWait& operator=(EventWait&&) noexcept;

    // The next one, in order. Errors: Errc::timeout, Errc::cancelled (cancel_fd became readable),
    // Errc::unavailable (connection lost, and no event left), Errc::protocol (more than 16384 events unread).
    Result<QmpEvent> next(Deadline deadline, int cancel_fd = -1);
    // Readable when next() would not wait.
    int fd() const;

  private:
    struct Queue;
    EventWait(Qmp::Connection* connection, std::shared_ptr<Queue> queue);
    Qmp::Connection* connection_;
    std::shared_ptr<Queue> queue_;
};

// Waits for the first of the named events that is emitted after the call. What happened just before the call
// is missed: use EventWait where the cause is one's own command.
Result<QmpEvent> wait_event(Qmp& qmp, std::vector<std::string> names, Deadline deadline, int cancel_fd = -1);

}  // namespace kz::qemu
