// Qmp: a client of QEMU's monitor protocol over a connected unix stream socket. For the monitor and the
// probe.
//
// One connection has one reader thread, which matches replies to commands by their id and hands out events.
// All functions may be called from any thread but the reader's own (that is: not from a handler). QEMU talks
// to one client per listening socket at a time; who attaches second waits until the first has closed.
//
// What QEMU sends is not trusted: a line of more than 16 MiB, anything that is not a QMP message and a reply
// to a command that was never sent end the connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "os/deadline.h"

namespace kz::qemu {

class EventQueue;
class QmpConnection;

struct QmpEvent {
    std::string name;                                // "SHUTDOWN"
    nlohmann::json data = nlohmann::json::object();  // always an object
    std::int64_t timestamp_micros = 0;               // of QEMU's wall clock, since 1970; 0 when it has none
};

// Both are called on the reader thread and must be brief.
struct QmpHandlers {
    // Every event since the greeting, in order.
    std::function<void(const QmpEvent&)> on_event = {};
    // Once, when the connection is lost or given up, but not by close(). Errc::unavailable: QEMU closed it;
    // Errc::protocol: QEMU sent what is not QMP.
    std::function<void(const Error&)> on_close = {};
};

class Qmp {
  public:
    static constexpr std::chrono::seconds kCommandTimeout{30};

    // Waits for the greeting and negotiates. Errors: Errc::timeout (another client holds the monitor, or QEMU
    // hangs), Errc::unavailable, Errc::protocol.
    static Result<std::unique_ptr<Qmp>> attach(UniqueFd socket, Deadline deadline, QmpHandlers handlers = {});
    // close(), after which no other thread may be inside.
    ~Qmp();
    Qmp(const Qmp&) = delete;
    Qmp& operator=(const Qmp&) = delete;

    // The value of "return". An error of QMP reads "COMMAND: desc", with " (CLASS)" behind it unless the
    // class is GenericError; it is Errc::not_found for CommandNotFound and DeviceNotFound, Errc::wrong_state
    // for DeviceNotActive, else Errc::io. Errc::timeout: no reply in time (it may still be carried out; a
    // late reply is dropped). Errc::unavailable, Errc::protocol, Errc::cancelled: the connection has ended,
    // and why.
    Result<nlohmann::json> execute(std::string_view command,
                                   nlohmann::json arguments = nlohmann::json::object(),
                                   Deadline deadline = Deadline::after(kCommandTimeout));
    // As execute, with a descriptor that rides on the command (getfd, add-fd). It stays the caller's.
    Result<nlohmann::json> execute_with_fd(std::string_view command, nlohmann::json arguments, int fd,
                                           Deadline deadline = Deadline::after(kCommandTimeout));

    // As execute, at once, even while QEMU's main loop stands still (it waits for a page of the guest, say).
    // For the few commands that QEMU takes so. Errors: also Errc::unsupported where QEMU does not offer it.
    Result<nlohmann::json> execute_out_of_band(std::string_view command,
                                               nlohmann::json arguments = nlohmann::json::object(),
                                               Deadline deadline = Deadline::after(kCommandTimeout));

    bool connected() const;
    // The greeting's QMP.version.qemu.
    const nlohmann::json& version() const;

    // Ends the connection; commands that wait get Errc::cancelled. May be called again.
    void close();

  private:
    friend class EventWait;
    explicit Qmp(std::unique_ptr<QmpConnection> connection);
    std::unique_ptr<QmpConnection> connection_;
};

// A subscription: keeps every event of the given names from its making on, until somebody asks for it. So:
// make it, then cause or look for the thing, then wait. It may outlive its Qmp.
class EventWait {
  public:
    // No names: every event. Errors: those of an exhausted system.
    static Result<EventWait> subscribe(Qmp& qmp, std::vector<std::string> names);

    // The next one, in order. Errors: Errc::timeout, Errc::cancelled (cancel_fd became readable),
    // Errc::protocol (more than 16384 events unread), and when no event is left why the connection has ended.
    Result<QmpEvent> next(Deadline deadline, int cancel_fd = -1);
    // Readable when next() would not wait.
    int fd() const;

  private:
    explicit EventWait(std::shared_ptr<EventQueue> queue) : queue_(std::move(queue)) {}
    std::shared_ptr<EventQueue> queue_;
};

// Waits for the first of the named events that is emitted after the call. What happened just before the call
// is missed: use EventWait where the cause is one's own command.
Result<QmpEvent> wait_event(Qmp& qmp, std::vector<std::string> names, Deadline deadline, int cancel_fd = -1);

}  // namespace kz::qemu
