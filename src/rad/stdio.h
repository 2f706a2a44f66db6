// kz-radd --stdio: remote administration over a login by ssh. For rad/radd.cc.
//
// Theory of operation. Another host runs `ssh root@HERE kz-radd --stdio`. What crosses standard input and
// output is the HTTP of rad/server.h without TLS: ssh has encrypted it and has proven both sides. One process
// serves one connection and needs no daemon. The end of the input is the end of the connection, with all that
// this means for what was begun on it (rad/connection.h).
//
// sshd has checked who logged in; that it was root is checked here, by the user id of this process. In the
// log such a client is "ssh:root@ADDRESS".
#pragma once

#include <string>
#include <string_view>

#include "os/paths.h"

namespace kz::rad {

// Serves until the client ends the connection. Standard input and output are taken away from the rest of the
// process. Logs to radd.log, as the daemon does. Errors: Errc::permission unless the user is root.
Result<void> serve_stdio(const HostPaths& paths);

// The client's address in sshd's SSH_CONNECTION; "unknown" for anything that is not such a text.
std::string ssh_client_address(std::string_view ssh_connection);

}  // namespace kz::rad
