// A password on its way: into a request, and from a command to the monitor. For Peer, src/client and
// src/monitor. Every copy that we make of it is wiped; none is in a JSON value, which could be logged.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "base/secret.h"
#include "os/deadline.h"

namespace kz::migrate {

inline constexpr std::size_t kMaxPassword = 1024;

// The whole request `POST /api/1/login {"user": ..., "password": ...}`.
Secret render_login(std::string_view user, const Secret& password, std::string_view host);

// A pipe with the password in it, to be sent to another process; at most kMaxPassword bytes.
Result<UniqueFd> password_to_pipe(const Secret& password);
// Reads it to its end. Errors: Errc::protocol when there is more than a password.
Result<Secret> password_from_pipe(int fd, Deadline deadline);

}  // namespace kz::migrate
