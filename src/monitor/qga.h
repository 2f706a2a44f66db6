// Qga: QEMU's own guest agent (qemu-ga), where a zone has that and not ours: what distributions ship. For the
// monitor.
//
// Theory of operation. JSON lines over the virtio-serial port org.qemu.guest_agent.0, one command at a time,
// each preceded by guest-sync-delimited, which finds the answer's place in a stream that others have used
// before. Nothing is sent before QEMU says that a program in the guest has the port open. A thread asks for
// the guest's addresses now and then, and sets its clock when it goes on. It answers for nothing where
// kz-agent does.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/json.h"
#include "base/log.h"
#include "monitor/agent.h"
#include "os/io.h"

namespace kz::monitor {

class Qga {
  public:
    static Result<std::unique_ptr<Qga>> create(Agent& ours, Log& log);
    ~Qga();
    Qga(const Qga&) = delete;
    Qga& operator=(const Qga&) = delete;

    // As of Agent.
    void attach(UniqueFd port);
    void detach();
    void port_changed(bool open);
    void set_clock();

    // Whether a program in the guest has the port open.
    bool is_open() const;
    // What the command returns. Errors: Errc::unavailable when nobody is there, Errc::timeout,
    // Errc::protocol, else as the guest says.
    Result<Json> ask(const std::string& command, const Json& arguments, Deadline deadline);
    // For a command that is not answered when it succeeds.
    Result<void> tell(const std::string& command, const Json& arguments, Deadline deadline);

  private:
    Qga(Agent& ours, Log& log, EventFd cancel);
    void run(const std::stop_token& stop);
    void look();
    void put_clock_right();
    Result<void> send(const std::string& command, const Json& arguments, Deadline deadline);
    Result<void> synchronize(Deadline deadline);
    Result<std::string> read_line(Deadline deadline);

    Agent& ours_;
    Log& log_;
    EventFd cancel_;  // readable while the port is not to be used

    std::mutex talk_;    // one command at a time
    std::string input_;  // by talk_

    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::shared_ptr<UniqueFd> port_;
    bool open_ = false;
    bool clock_due_ = false;
    std::jthread thread_;
};

// What guest-network-get-interfaces returned, as far as it can be believed.
std::vector<store::GuestAddress> addresses_from_qga(const Json& interfaces);

}  // namespace kz::monitor
