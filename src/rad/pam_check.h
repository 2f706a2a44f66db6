// Checking a password with PAM, in a short-lived process. For rad/guard.h and kz-radd.
//
// Theory of operation. PAM's modules are not made for threads, take seconds (also on purpose), and run code
// of others: each check is a process of its own, `kz-radd --check-password [FOLDER]`, which is killed when it
// takes too long. User, address and password go to it over a pipe at its standard input, never on a command
// line or in the environment:
//
//   three fields: user, address of the client, password; each 2 bytes length, little-endian, then the bytes
//
// It ends with status 0 and the user's name as PAM knows it on standard output, or with status 1 (PAM said
// no) or 2 (PAM could not be asked) and a reason. The service is "kzones"; FOLDER is where PAM looks for its
// file (pam_start_confdir), else it is the system's.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "base/secret.h"
#include "os/paths.h"

namespace kz::rad {

// The name that PAM knows the user by. Errors: Errc::permission when PAM says no, all others mean that it
// could not be asked. The messages are for the log, never for the client.
using PasswordCheck = std::function<Result<std::string>(const std::string& user, const Secret& password,
                                                        const std::string& address)>;

struct PamOptions {
    Path program;                        // kz-radd
    std::optional<Path> service_folder;  // nothing: the system's
    std::chrono::milliseconds patience{30000};
};
// The options of this host: its own kz-radd, and etc/pam.d below its root when that has a file "kzones".
PamOptions pam_options(const HostPaths& paths);

PasswordCheck check_by_pam(PamOptions options);

// The other process. Returns its exit status.
int check_password_main(const std::optional<Path>& service_folder);

}  // namespace kz::rad
