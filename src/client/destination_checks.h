// What the destination of a migration finds out about itself before anything moves: the facts for
// migrate::check_move(). For client/incoming_move.cc.
//
// Looks only: nothing is stored, owned or written. One thing that cannot be found out does not keep the
// others from being looked at.
//
// Memory. What counts is what the kernel could give now (MemAvailable: swapping a zone would be worse than
// refusing it), less what zones that run here were promised and have not touched yet: a zone of 4 GiB that
// uses 1 will come for the other 3.
#pragma once

#include <string>

#include "client/client.h"
#include "migrate/checks.h"

namespace kz::client {

migrate::HostFacts gather_host_facts(const store::Registry& registry, const std::string& zone,
                                     const migrate::Offer& offer, const zone::Config& config);

}  // namespace kz::client
