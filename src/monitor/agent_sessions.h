// AgentSessions: the connection to a guest's kz-agent as a state, without descriptors or threads: what comes
// from the port goes in, what is for the port and for zlogin's comes out. For monitor/agent.h.
//
// Theory of operation. Frames (agent/wire.h) of the clients' sockets and of the port are passed on to each
// other; a client has one session and numbers it 0, on the port each has a number that is never used again.
// All that comes from the port is a guest's and hostile: credit is counted here too, so that what is held for
// a client that does not read stays below kMaxHeld; whatever breaks the protocol ends the connection and with
// it all sessions, never the monitor. What comes from clients is counted in the same way, so that one that
// does wrong ends its own session alone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/messages.h"
#include "agent/wire.h"

namespace kz::monitor {

class AgentSessions {
  public:
    // Most that is held for one client.
    static constexpr std::size_t kMaxHeld = 2 * 1024 * 1024;
    // Clients are not read while so much waits for the port.
    static constexpr std::size_t kPortRoom = 256 * 1024;

    // Begins a connection: from now on only a welcome with that nonce counts. Ends the one before.
    void begin(std::uint64_t nonce, std::optional<std::uint64_t> clock_ns);
    // Nobody is on the other side any more; sessions are told why.
    void end(const std::string& why);
    bool connected() const { return connected_; }
    const std::string& agent() const { return agent_; }

    // What the caller must act upon.
    struct Happened {
        bool connected = false;
        bool wants_hello = false;  // the guest has started anew, or does not keep to the protocol
        std::optional<kz::agent::Notice> notice{};
        std::vector<std::pair<std::uint32_t, kz::agent::Answer>> answers{};
    };
    Happened feed(std::string_view from_port);
    // For the port; the caller removes what it has written.
    std::string& to_port() { return to_port_; }

    // The number of a call is the caller's. Only while connected.
    void call(std::uint32_t number, const kz::agent::Call& call);

    // A client's session, from its first frame on. Only while connected.
    std::uint32_t open(const kz::agent::Open& request);
    // Nothing more: the client is done with, once to_client() is written.
    struct Session {
        std::string to_client;
        bool over = false;
        bool input_ended = false;
        std::uint32_t input_credit = kz::agent::kWindow;
        std::uint32_t output_credit[kz::agent::kStreams] = {0, kz::agent::kWindow, kz::agent::kWindow};
    };
    Session* find(std::uint32_t number);
    // False: the client has broken the protocol, and its session has ended.
    bool take_from_client(std::uint32_t number, kz::agent::Frame frame);
    // The client is gone.
    void close(std::uint32_t number);

  private:
    bool take(const kz::agent::Frame& frame, Happened& happened);
    bool take_for_session(const kz::agent::Frame& frame);
    bool pass_to_client(Session& session, const kz::agent::Frame& frame);
    bool pass_to_port(std::uint32_t number, Session& session, kz::agent::Frame& frame);

    kz::agent::FrameReader reader_;
    std::string to_port_;
    std::map<std::uint32_t, Session> sessions_;
    std::uint32_t last_number_ = 0;
    std::uint64_t nonce_ = 0;
    bool connected_ = false;
    std::string agent_;
};

}  // namespace kz::monitor
