// How a daemon's word that it is ready reaches who started it. For os/daemon.cc and os/zone_daemon.cc.
//
// Theory of operation. The starter hands the daemon an open descriptor (KZONES_READY_FD), or, where the
// daemon is another's child, the path of a unix stream socket that it listens on (KZONES_READY_SOCKET). The
// daemon writes "ok\n", or "CODE MESSAGE\n" (base/error.h), and closes; its end without a word is an error
// too.
#pragma once

#include <string>

#include "base/result.h"
#include "os/deadline.h"

namespace kz {

inline constexpr const char* kReadyFdVariable = "KZONES_READY_FD";
inline constexpr const char* kReadySocketVariable = "KZONES_READY_SOCKET";

// Reads the word to its end; `name` is the daemon's, for errors.
Result<void> hear_ready(int fd, const std::string& name, Deadline deadline);

}  // namespace kz
