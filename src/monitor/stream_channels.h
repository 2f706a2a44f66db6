// The sealed connections of a live migration, as bodies for a PumpGroup. For monitor/outgoing.cc and
// incoming.cc.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "crypto/cipher.h"
#include "migrate/offer.h"
#include "migrate/pump_group.h"
#include "migrate/sealed_link.h"
#include "os/paths.h"

namespace kz::monitor {

// The connections of a migration, each at the place of its channel.
using Transport = std::vector<migrate::ChannelConnection>;

// The way to the destination's port 8102: over the network to `host`, or through the unix socket of a tunnel.
struct MemoryRoute {
    std::string host;
    Path tunnel;              // empty: none
    bool may_tunnel = false;  // there could be one
};

// Source: one proven connection to the destination's port 8102 per channel.
Result<Transport> connect_transport(const MemoryRoute& route, const migrate::Session& session,
                                    unsigned channels, int cancel_fd);
// Source: QEMU's bytes, sealed, to transport[channel].
migrate::PumpBody sealing_body(Transport transport, const migrate::Session& session, crypto::Cipher cipher);
// Destination: transport[channel], opened, to QEMU.
migrate::PumpBody opening_body(Transport transport, const migrate::Session& session, crypto::Cipher cipher);

// Source: the one connection of a migration that may end as post-copy, or of its recovery session.
Result<std::shared_ptr<migrate::SealedLink>> connect_link(const MemoryRoute& route,
                                                          const migrate::Session& session,
                                                          crypto::Cipher cipher, int cancel_fd);
// Both directions of channel 0. What is counted is the memory: sealed at the source, opened at the
// destination.
migrate::PumpBody carrying_body(std::shared_ptr<migrate::SealedLink> link, migrate::SealedLink::Side side);

}  // namespace kz::monitor
