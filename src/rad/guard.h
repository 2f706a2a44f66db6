// Guard: who a client is, what it may do, and how often. For src/rad.
//
// A client is known by one of three: it came over the unix socket as root (or by ssh, rad/stdio.h), its host
// key is in authorized_keys, or it has logged in with a user's password on this connection. Each is judged
// again for every request, so that a key or a role that is taken away ends at once.
#pragma once

#include <optional>

#include "base/log.h"
#include "migrate/peer_keys.h"
#include "rad/login_limits.h"
#include "rad/pam_check.h"
#include "rad/permissions.h"
#include "rad/request_rate.h"
#include "rad/router.h"

namespace kz::rad {

struct GuardLimits {
    double request_burst = 200;
    double requests_per_second = 50;
};

// Thread-safe.
class Guard {
  public:
    // `log` outlives it.
    Guard(HostPaths paths, PasswordCheck check, Log& log, GuardLimits limits = {});

    // Fills in name, user and role. False for a stranger; an error refuses too.
    Result<bool> identify(PeerIdentity& peer, const ConnectionContext& connection) const;

    // The handler of POST /api/1/login {"user", "password"}: {"user", "role"}; after that the connection is
    // the user's. The password in `request.body` is wiped. Answers 401 for everything that is wrong, with the
    // same words, and 429 when there were too many attempts.
    Result<Json> login(Request& request);

    // Whether the client may ask this of the zone (empty when the path names none).
    bool allows(const PeerIdentity& peer, const Access& access, const std::string& zone) const;
    // False when the client asks too often. Root on this host never does.
    bool in_time(const PeerIdentity& peer);

  private:
    Result<bool> identify_key(PeerIdentity& peer) const;
    Result<User> prove(const std::string& name, const Secret& password, const std::string& address);

    HostPaths paths_;
    Permissions permissions_;
    PasswordCheck check_;
    Log& log_;
    LoginLimits login_limits_;
    RequestRate rate_;
};

}  // namespace kz::rad
