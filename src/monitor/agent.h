// Agent: a zone's kz-agent as its monitor sees it. For the monitor; zlogin is at the other end of the client
// socket.
//
// Theory of operation. One thread serves the port to the guest and the sockets of the clients, through
// AgentSessions; nothing that the guest does or leaves undone delays anybody but who asked for it. The
// connection is made when QEMU says that a program in the guest has opened the port, never before, so that
// nothing old waits in it. What is asked of the guest (call()) has a deadline and fails at once where no
// agent answers.
//
// A connection does not outlive this object's machine: when the zone moves, is suspended, or another monitor
// takes it over, the sessions end with a word why, and the guest's agent ends what ran in them.
//
// The clock. A guest's clock stands still while it does. So whenever the guest goes on, set_clock() is due:
// with the hello where the connection has yet to be made, which is after a resume or a migration, else by a
// call at once. The answer tells how far off the guest is; what is more than kClockSlack is corrected, by
// half the time of that call.
//
// On the clients' socket (run/zones/NAME/agent.sock, root only) both sides speak frames, without mark and
// with session 0; the first is open. A client that begins before there is a connection waits for it, for
// kPatience.
#pragma once

#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/log.h"
#include "monitor/agent_sessions.h"
#include "os/io.h"
#include "os/paths.h"
#include "store/guest_report.h"

namespace kz::monitor {

class Agent {
  public:
    struct Options {
        HostPaths paths;
        std::string zone;
        Log& log;
    };
    static Result<std::unique_ptr<Agent>> open(Options options);
    ~Agent();
    Agent(const Agent&) = delete;
    Agent& operator=(const Agent&) = delete;

    // The port of a machine that has started or was adopted; empty: it has none.
    void attach(UniqueFd port);
    // The machine ends: sessions are told why.
    void detach(const std::string& why);
    // QEMU says that a program in the guest has opened or closed the port.
    void port_changed(bool open);
    // The guest goes on after it has stood still, here or elsewhere. Where connected(), call it after `cont`,
    // else before.
    void set_clock();

    // Whether an agent answers.
    bool connected() const;
    // Errors: Errc::unavailable where no agent answers, Errc::timeout, else as the guest says.
    Result<std::uint64_t> call(kz::agent::Operation operation, std::uint64_t argument, Deadline deadline);
    // Returns when the guest is usable. Errors: Errc::timeout, Errc::unavailable when the machine ends.
    Result<void> wait_until_usable(Deadline deadline);
    // What another agent than ours has said; counts where ours does not answer.
    void other_report(const std::optional<store::GuestReport>& report);

  private:
    using Clock = std::chrono::steady_clock;
    struct Client {
        UniqueFd fd;
        kz::agent::FrameReader reader{/*aligned=*/true};
        std::optional<kz::agent::Open> waiting{};  // for a connection
        std::string refusal{};                     // to be written, and then it is gone
        bool refused = false;
        std::uint32_t session = 0;
        Clock::time_point since = Clock::now();
        bool gone = false;
    };
    struct ClockCall {
        Clock::time_point sent;
        unsigned tries = 0;
    };

    Agent(Options options, UniqueFd listener, EventFd wake);
    void run(const std::stop_token& stop);
    int poll_timeout() const;
    void serve_port(short events);
    void read_port();
    void write_port();
    void act_on(const AgentSessions::Happened& happened);
    void hello();
    void ask_clock(unsigned tries);
    void clock_answered(const kz::agent::Answer& answer);
    void accept_client();
    void serve_client(Client& client, short events);
    void take_from_client(Client& client);
    void start_session(Client& client);
    void refuse(Client& client, const std::string& why);
    void write_client(Client& client);
    void look_at_waiting();
    void publish();

    const HostPaths paths_;
    const std::string zone_;
    Log& log_;
    UniqueFd listener_;
    EventFd wake_;

    mutable std::mutex mutex_;  // of all that follows
    std::condition_variable changed_;
    UniqueFd port_;
    bool port_open_ = false;
    unsigned machine_ = 0;  // how many were attached
    AgentSessions sessions_;
    std::list<Client> clients_;
    std::optional<Clock::time_point> hello_at_;
    bool hello_outstanding_ = false;  // it was said, and nobody has answered
    bool clock_due_ = false;
    bool clock_in_hello_ = false;
    std::optional<ClockCall> clock_call_;
    std::uint32_t last_call_ = 1;
    std::map<std::uint32_t, std::optional<kz::agent::Answer>> calls_;
    std::optional<store::GuestReport> own_report_;
    std::optional<store::GuestReport> other_report_;
    std::optional<store::GuestReport> published_;
    std::jthread thread_;
};

}  // namespace kz::monitor
