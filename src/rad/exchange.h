// One client's connection: requests are read, judged, routed and answered, one after the other. For
// rad/server.cc.
#pragma once

#include <functional>
#include <string>

#include "base/log.h"
#include "migrate/peer_http.h"
#include "rad/router.h"
#include "rad/server.h"

namespace kz::rad {

// What a connection may do next, asked before each request.
enum class Admission { admitted = 1, not_authorised, too_many };
using Admit = std::function<Admission(PeerIdentity& peer)>;

class Exchange {
  public:
    Exchange(const Router& router, const ServerLimits& limits, Log& log, Admit admit)
        : router_(router), limits_(limits), log_(log), admit_(std::move(admit)) {}

    // Until the client ends the connection, a time limit passes, or an answer says that it is the last. What
    // handlers attached is destroyed before it returns.
    void serve(migrate::Transport& transport, PeerIdentity peer);

  private:
    struct Reply {
        migrate::HttpResponse response{};
        bool last = false;
    };
    // False when the connection is over.
    bool serve_one(migrate::Transport& transport, migrate::HttpReader& reader, PeerIdentity& peer,
                   ConnectionContext& context);
    Reply answer(const migrate::HttpRequest& request, const PeerIdentity& peer, ConnectionContext& context,
                 int cancel_fd) const;
    Result<Json> handle(const migrate::HttpRequest& request, const PeerIdentity& peer,
                        ConnectionContext& context, int cancel_fd, unsigned& status) const;
    bool send(migrate::Transport& transport, const Reply& reply) const;

    const Router& router_;
    const ServerLimits& limits_;
    Log& log_;
    Admit admit_;
};

}  // namespace kz::rad
