// TrustDecision: whether the key that a host shows is the one that it should have. For Peer::connect.
#pragma once

#include <string>
#include <vector>

#include "migrate/peer.h"
#include "migrate/peer_address.h"
#include "os/paths.h"

namespace kz::migrate {

class TrustDecision {
  public:
    // Reads known_hosts. `policy` outlives the object.
    static Result<TrustDecision> prepare(const HostPaths& paths, const PeerAddress& address,
                                         const TrustPolicy& policy);

    // During a handshake: whether the host with this key may be talked to.
    bool judge(const std::string& shown);
    bool refused() const { return refused_; }
    // After a refusal: asks, if there is somebody to ask. Success says that the next connection may show that
    // same key; else Errc::permission, which says what was found and what to do.
    Result<void> resolve();
    // After a handshake: records the key of a host that was not known.
    Result<void> remember() const;

  private:
    TrustDecision(const HostPaths& paths, const PeerAddress& address, const TrustPolicy& policy,
                  std::vector<std::string> pinned)
        : paths_(paths),
          policy_(policy),
          host_(address.host),
          name_(address.known_hosts_name()),
          pinned_(std::move(pinned)) {}
    std::unexpected<Error> changed() const;
    std::unexpected<Error> unknown() const;

    HostPaths paths_;
    const TrustPolicy& policy_;
    std::string host_;
    std::string name_;
    std::vector<std::string> pinned_;  // of known_hosts
    std::string approved_;             // by the answer to the question
    std::string shown_;
    bool refused_ = false;
};

}  // namespace kz::migrate
