// One client's connection: requests are read, judged, routed and answered, one after the other. For
// rad/server.cc and rad/stdio.cc.
//
// A client that is not known may make few requests, all of which are refused but the login; one that is known
// gets what its role allows. What acts, and what is refused, is in the audit log before it is answered.
#pragma once

#include <functional>
#include <string>

#include "base/log.h"
#include "migrate/peer_http.h"
#include "rad/audit.h"
#include "rad/guard.h"
#include "rad/router.h"
#include "rad/server_limits.h"

namespace kz::rad {

// What a connection may do next, asked before each request.
enum class Admission { admitted = 1, stranger, too_many };
// Fills in the peer's name and role.
using Admit = std::function<Admission(PeerIdentity& peer, const ConnectionContext& connection)>;

// What all connections share.
struct Desk {
    const Router& router;
    Guard& guard;
    Audit& audit;
    Log& log;
};

class Exchange {
  public:
    Exchange(Desk desk, const ServerLimits& limits, Admit admit)
        : desk_(desk), limits_(limits), admit_(std::move(admit)) {}

    // Until the client ends the connection, a time limit passes, or an answer says that it is the last. What
    // handlers attached is destroyed before it returns.
    void serve(migrate::Transport& transport, PeerIdentity peer);

  private:
    struct Reply {
        migrate::HttpResponse response{};
        bool last = false;
        bool sent = false;
    };
    // One request on its way.
    struct Turn {
        Turn(migrate::Transport& to, PeerIdentity& who, ConnectionContext& about, migrate::HttpRequest& what,
             Admission admitted)
            : transport(to), peer(who), context(about), request(what), admission(std::move(admitted)) {}
        migrate::Transport& transport;
        PeerIdentity& peer;
        ConnectionContext& context;
        migrate::HttpRequest& request;
        Admission admission;
        // Filled in while it is answered.
        std::string path;
        Router::Match match;
        unsigned status = 0;  // of a failure; 0: that of its code
        Json audit = Json::object();
        bool sent = false;
    };

    // False when the connection is over.
    bool serve_one(migrate::Transport& transport, migrate::HttpReader& reader, PeerIdentity& peer,
                   ConnectionContext& context);
    Reply answer(Turn& turn);
    Result<void> judge(Turn& turn) const;
    Result<Json> handle(Turn& turn) const;
    Result<Json> stream(Turn& turn, Request& call) const;
    void note(const Turn& turn, const Result<Json>& result, unsigned status) const;
    bool send(migrate::Transport& transport, const Reply& reply) const;

    Desk desk_;
    const ServerLimits& limits_;
    Admit admit_;
    Deadline grace_ = Deadline::never();
    unsigned refused_ = 0;
};

}  // namespace kz::rad
