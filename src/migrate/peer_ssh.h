// SshLink: a connection to another host's kz-radd by way of ssh. For src/client; the monitor gets its stream.
//
// Theory of operation. `ssh HOST kz-radd --stdio` runs as a child, in the session of the user whose keys and
// agent it needs, with one end of a socket pair as its standard input and output. Whoever holds the other end
// (a Peer, here or in the zone's monitor) speaks HTTP on it. ssh ends when that end is closed, when this
// object is destroyed, and when the thread that made it ends, however it ends. It never asks for anything: it
// runs in BatchMode and without a terminal, and a ^C on the terminal is not for it.
//
// With a tunnel the same ssh listens on a unix socket in a folder of ours (run/zones/ssh-PID, mode 0700), and
// each connection to it comes out at port 8102 of the other host.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "migrate/peer.h"
#include "migrate/peer_address.h"
#include "os/paths.h"

namespace kz::migrate {

// The programs at both ends. KZONES_SSH names the one here ("ssh"), KZONES_SSH_RADD the one there
// ("kz-radd").
struct SshPrograms {
    std::string ssh = "ssh";
    std::string radd = "kz-radd";

    // Errors: Errc::invalid_argument for a name that a shell would take apart.
    static Result<SshPrograms> from_environment();
};

struct SshOptions {
    SshPrograms programs{};
    bool accept_new = false;  // record the key of a host that ssh does not know yet
    bool tunnel = false;
};

inline constexpr std::string_view kTunnelSocket = "8102";

std::vector<std::string> ssh_command(const PeerAddress& address, const SshOptions& options);
// `ssh -G`: what ssh's configuration makes of the address.
std::vector<std::string> ssh_query_command(const PeerAddress& address, const SshPrograms& programs);
// The host that ssh would connect to, of the answer to that; nothing when it does not say.
std::optional<std::string> ssh_host_name(std::string_view answer);
// What went wrong, of ssh's exit status and what it printed on stderr, with what to do about it.
Error ssh_error(const PeerAddress& address, int status, std::string_view printed);

// Move-only.
class SshLink {
  public:
    // Starts ssh; whether it gets anywhere shows when the stream is used. Errors: Errc::not_found when there
    // is no ssh on this host.
    static Result<SshLink> start(const PeerAddress& address, const HostPaths& paths,
                                 const SshOptions& options);
    SshLink(SshLink&&) noexcept;
    SshLink& operator=(SshLink&&) noexcept;
    // Closes the stream; ssh is given a moment to end by itself.
    ~SshLink();

    // A Peer on the stream. One at a time may be in use, and it must not have a call under way when the
    // stream is handed on.
    Result<Peer> peer() const;
    // Gives the stream away: its new holder's close ends ssh.
    UniqueFd take_stream();
    // Where a connection to port 8102 of the other host begins; empty without a tunnel.
    Path memory_socket() const;
    // Why ssh ended; nothing while it runs (it is waited for, so long) and when all was well.
    std::optional<Error> failure(std::chrono::milliseconds patience);

  private:
    struct Impl;
    explicit SshLink(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kz::migrate
