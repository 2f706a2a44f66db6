// A login or a command in a zone, through the zone's agent: what zlogin does without -C. For zlogin.
//
// Talks frames (agent/wire.h) over the monitor's socket (monitor/agent.h). Each of stdin, stdout and stderr
// moves as fast as its own other end: what is not written yet is not acknowledged to the zone.
#pragma once

#include <string>

#include "agent/messages.h"
#include "os/paths.h"

namespace kz::cli {

struct SessionOptions {
    std::string zone;
    kz::agent::OpenKind kind = kz::agent::OpenKind::login;
    std::string user = "root";
    std::string command;  // empty: a login on a terminal
    char escape = '~';    // '\0': none
};

// Returns the exit status: the command's own, 128 and its signal where one has killed it, 1 when the session
// could not be had or broke off, which stderr tells; 0 when a login has ended.
int run_session(const HostPaths& paths, const SessionOptions& options);

}  // namespace kz::cli
