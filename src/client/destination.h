// Destination: the connection to the host that a zone is moved to, as an administrator's command makes it:
// with the questions about keys and passwords, or with that user's ssh. For client/migrate.cc.
//
// Cold and warm moves speak on it here. A live one is the monitor's: what the monitor needs to have a
// connection of its own goes with the request (monitor/peer_access.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/client.h"
#include "migrate/peer.h"
#include "migrate/peer_ssh.h"

namespace kz::client {

class Destination {
  public:
    // Connects, and finds out that this host may administer the other. `live` says that memory is going to be
    // sent there. Errors: those of migrate::Peer::connect, migrate::ssh_error and Peer::login;
    // Errc::invalid_argument for options that do not fit the address.
    static Result<Destination> connect(const HostPaths& paths, const MigrateOptions& options,
                                       const Reporter& reporter, bool live);

    migrate::Peer& peer() { return *peer_; }
    // Gives up the connection here: completes a request for the monitor, and returns what goes with it.
    Result<std::vector<UniqueFd>> hand_to_monitor(Json& request);
    // After a failure: adds what ssh said, if it ended before its time.
    Error explain(Error error);

  private:
    Destination(migrate::PeerAddress address, bool live) : address_(std::move(address)), live_(live) {}
    Result<void> connect_ssh(const HostPaths& paths, const MigrateOptions& options, int cancel_fd);
    Result<void> connect_rads(const HostPaths& paths, const MigrateOptions& options,
                              const Reporter& reporter);
    Result<void> log_in(const HostPaths& paths, const MigrateOptions& options, const Reporter& reporter);

    migrate::PeerAddress address_;
    bool live_;
    std::string memory_host_;
    std::optional<migrate::SshLink> link_;
    std::optional<migrate::Peer> peer_;
    std::string user_;  // that proved itself by the password; empty: this host's key did
    Secret password_;
};

}  // namespace kz::client
