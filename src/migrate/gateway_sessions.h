// The gateway's two tables: sessions that monitors have registered, and connections that have not proven
// themselves yet. For migrate/gateway.cc.
#pragma once

#include <list>
#include <map>
#include <string>
#include <vector>

#include "base/fd.h"
#include "migrate/session_wire.h"
#include "os/deadline.h"

namespace kz::migrate {

// A connection that owes the rest of its hello.
struct PendingConnection {
    UniqueFd fd;
    Deadline deadline = Deadline::never();
    std::string address{};
    HelloBytes hello{};
    std::size_t have = 0;

    enum class Progress { waiting = 1, complete, ended };
    // Takes what has arrived; never waits.
    Progress read();
};

struct RegisteredSession {
    UniqueFd monitor;
    Secret proof_key;
    std::vector<bool> taken;  // by channel
};

enum class HelloVerdict { good = 1, malformed, unknown_session, wrong_proof, repeated_channel };

class SessionTable {
  public:
    explicit SessionTable(std::size_t limit) : limit_(limit) {}

    // Errors: Errc::already_exists, Errc::busy (too many).
    Result<void> check_room(const SessionId& id) const;
    // There is room.
    void add(Registration registration, UniqueFd monitor);
    void remove(const SessionId& id) { sessions_.erase(id); }
    const std::map<SessionId, RegisteredSession>& all() const { return sessions_; }

    // Judges a whole hello and, when it is good, marks its channel as taken and gives its session.
    HelloVerdict judge(const HelloBytes& bytes, const RegisteredSession** session, stream::Hello* hello);

  private:
    std::size_t limit_;
    std::map<SessionId, RegisteredSession> sessions_;
};

}  // namespace kz::migrate
