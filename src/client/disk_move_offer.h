// What is offered of a zone that moves warm or cold. For client/disk_move.cc.
#pragma once

#include "migrate/offer.h"
#include "store/boot_disk.h"
#include "store/registry.h"
#include "zone/config.h"

namespace kz::client {

// `data` was read from `disk`. Warm: the machine is that of the suspend image or, where the zone runs and is
// to be suspended for the move, the one that runs. Errors: an image that cannot be read here; those of
// migrate::gather_storage().
Result<migrate::Offer> make_disk_offer(const store::Registry& registry, const zone::Config& config,
                                       migrate::MoveKind kind, store::BootDisk& disk,
                                       const storage::HostData& data);

}  // namespace kz::client
