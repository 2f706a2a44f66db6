// Programs of the guest that the agent starts. For kz-agent's own files.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "agent/messages.h"
#include "base/fd.h"

namespace kzagent {

// A program that was started for a session: a leader of its own session and group.
struct Child {
    pid_t pid = -1;
    kz::UniqueFd in{};  // what goes into it; with a terminal both ways, and the others are empty
    kz::UniqueFd out{};
    kz::UniqueFd err{};
    std::string terminal{};  // "pts/0"
};

struct Spawned {
    Child child{};
    std::string error{};  // why there is none
};

Spawned spawn_session(const kz::agent::Open& request);

// A program of the system, without a session: 0 or errno when it could not be started.
int spawn_system(const std::vector<std::string>& words);

}  // namespace kzagent
