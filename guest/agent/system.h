// What the agent knows of the guest and does to it as a whole. For kz-agent's own files.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "agent/messages.h"
#include "base/fd.h"

namespace kzagent {

// Its start is over: whoever may log in can. Where systemd runs that is when systemd-user-sessions has let
// them in.
bool is_usable();
// Of the interfaces that are not the loopback; link-local ones are left out.
std::vector<kz::agent::Address> addresses();
// Readable when addresses() may have changed; empty where that cannot be had.
kz::UniqueFd address_watch();
void drain(int fd);

kz::agent::Answer set_clock(std::uint64_t nanoseconds);
kz::agent::Answer power_off();

// File systems that stand still for a copy of their disk. They thaw by themselves when nobody says so in
// time, also when this agent was killed meanwhile and another one starts.
class Freezer {
  public:
    using Clock = std::chrono::steady_clock;
    ~Freezer() { thaw(); }

    // What an agent before this one has left frozen.
    static void thaw_leftovers();
    // All that are on block devices and can be written, the innermost first. All or none.
    kz::agent::Answer freeze(std::chrono::seconds at_most);
    kz::agent::Answer thaw();
    bool frozen() const { return !frozen_.empty(); }
    Clock::time_point until() const { return until_; }

  private:
    std::vector<kz::UniqueFd> frozen_;
    Clock::time_point until_{};
};

}  // namespace kzagent
