// PeerAccess: how the source's monitor reaches the destination of a migration. For monitor/outgoing.cc.
//
// A command has found out before that it may (client/destination.h); what the monitor cannot do by itself
// comes with the request "migrate":
//
//   rads               the monitor connects with this host's key, which the other host knows
//   rads, "login"      the text is a user's name; one descriptor: a pipe with the password
//   (migrate/peer_login.h) ssh                one descriptor: the stream that the command's ssh carries, for
//   ssh needs the user's keys "memory_host"      where port 8102 is, when it is not the destination as typed
//   (ssh has aliases) "memory_socket"    a unix socket that leads to port 8102: a tunnel through the
//   command's ssh
#pragma once

#include "base/json.h"
#include "migrate/peer.h"
#include "monitor/control_server.h"
#include "monitor/stream_channels.h"

namespace kz::monitor {

struct PeerAccess {
    migrate::Peer peer;
    MemoryRoute memory;
};

// Errors: Errc::protocol when the request does not come with what it needs; those of migrate::Peer.
Result<PeerAccess> open_peer(const HostPaths& paths, const migrate::PeerAddress& address, const Json& request,
                             Caller& caller, int cancel_fd);

}  // namespace kz::monitor
