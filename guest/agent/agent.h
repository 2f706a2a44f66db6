// Agent: the loop of kz-agent, between the port and its sessions. For kz-agent's main.
#pragma once

#include <list>
#include <optional>

#include "agent/messages.h"
#include "agent/wire.h"
#include "port.h"
#include "session.h"
#include "system.h"

namespace kzagent {

class Agent {
  public:
    // `signals`: a signalfd of SIGCHLD and SIGTERM.
    Agent(Port port, kz::UniqueFd signals);
    ~Agent();
    // Until the port is gone (false) or SIGTERM came (true).
    bool run();

  private:
    using Clock = std::chrono::steady_clock;
    struct Dying {
        pid_t pid;
        Clock::time_point kill_at;
    };
    void wait();
    bool read_port();
    void lose_host();
    void take(const kz::agent::Frame& frame);
    bool take_in_session(const kz::agent::Frame& frame);
    bool obey(Session& session, const kz::agent::Frame& frame);
    void greet(const kz::agent::Hello& hello);
    void open(const kz::agent::Frame& frame);
    void call(const kz::agent::Frame& frame);
    void end_sessions();
    void hang_up(Session& session);
    void reap();
    void look_at_guest();
    void keep_time();
    Clock::time_point next_moment() const;

    Port port_;
    kz::UniqueFd signals_;
    kz::UniqueFd addresses_;
    kz::agent::FrameReader reader_;
    std::uint64_t nonce_ = 0;
    bool connected_ = false;  // a hello was answered
    bool absent_ = false;     // nobody holds the host's end
    bool stop_ = false;
    std::list<Session> sessions_;
    std::vector<Dying> dying_;
    Freezer freezer_;
    std::optional<kz::agent::Notice> noticed_;
    Clock::time_point look_at_;  // at the guest, for a notice
};

}  // namespace kzagent
