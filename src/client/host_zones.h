// A host's zones when it starts, and when it goes down: what autoboot, boot-priority and autoshutdown say.
// For the command that the host's init runs (cli/kz_zones.h).
//
// Several zones are worked on at once, each in a thread of its own; one that fails does not keep the others.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/result.h"
#include "os/paths.h"

namespace kz::client {

// Called by one thread at a time.
using ZoneTeller = std::function<void(const std::string& zone, const std::string& text)>;

// Boots the installed zones with autoboot=true, those of a higher boot-priority before the others; one that
// is suspended is resumed. Storage that does not answer yet is waited for, at most `patience` for all zones.
// Returns how many could not be booted, of which the teller was told.
Result<unsigned> start_host_zones(const HostPaths& paths, std::chrono::seconds patience,
                                  const ZoneTeller& tell);

// Ends the zones that run, as their autoshutdown says: suspended, shut down, or halted. What cannot be
// suspended is shut down, and what has not shut down within `patience` is halted; why, the teller hears.
// Returns how many run still.
Result<unsigned> stop_host_zones(const HostPaths& paths, std::chrono::seconds patience,
                                 const ZoneTeller& tell);

}  // namespace kz::client
