// A channel in both directions: between a local socket of QEMU and one sealed connection. For src/monitor,
// whose post-copy migrations need an answering channel.
//
// Theory of operation. Two pumps (stream/pump.h) work on the same pair of descriptors: one seals what QEMU
// says, in the calling thread; one opens what the other host says, in a thread of its own. Each direction is
// a channel of its own, with its own keys, numbers and final record. A direction that ends properly is passed
// on as the end of the stream (shutdown) and leaves the other one alone; a direction that fails ends both.
#pragma once

#include "stream/pump.h"

namespace kz::stream {

struct TwoWayCounters {
    PumpCounters& sealed;  // local to remote
    PumpCounters& opened;  // remote to local
};

// Returns when both directions have ended. `rules` are those of the sealing half; the other one waits for
// input for as long as it takes, and for the local socket likewise. Neither descriptor is closed, and the
// local one is not shut down after a failure: whoever owns QEMU decides when it shall notice. Errors: the
// first of either half, as in stream/pump.h; the connection is shut down then.
Result<void> pump_both_ways(int local_fd, int sealed_fd, RecordSealer& sealer, RecordOpener& opener,
                            const PumpRules& rules, TwoWayCounters counters);

}  // namespace kz::stream
