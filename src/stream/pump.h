// Pumps: one thread moves one channel between a local socket of QEMU and a sealed transport. For src/migrate
// and src/image.
//
// Theory of operation
//
// A pump is a loop of blocking steps in the caller's thread: take what the input has (up to 256 KiB), pass it
// on, and wait for the output when it is full, which is how the slowest part of the way slows all of it. Each
// wait also watches a cancel descriptor, so signalling one EventFd ends all pumps of a migration at once;
// whoever starts several pumps signals it when the first of them fails.
//
// The pump makes the descriptors that it uses non-blocking. Writing to a socket that has no reader raises no
// SIGPIPE.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>

#include "stream/channel.h"
#include "stream/opener.h"
#include "stream/rate_limiter.h"
#include "stream/sealer.h"

namespace kz::stream {

struct PumpRules {
    // Readable when the pump shall stop (EventFd); -1 for never.
    int cancel_fd = -1;
    // The longest time without one byte of progress; none waits for ever. An idle input is normal between the
    // passes of a live migration.
    std::optional<std::chrono::milliseconds> input_stall = {};
    std::optional<std::chrono::milliseconds> output_stall = {};
    // Limits what pump_seal sends, as it is on the wire; shared by all pumps of a migration. None when null.
    RateLimiter* limiter = nullptr;
};

// May be read by any thread while the pump works.
struct PumpCounters {
    std::atomic<std::uint64_t> plain_bytes = 0;
    std::atomic<std::uint64_t> sealed_bytes = 0;
    std::atomic<std::uint64_t> records = 0;  // data records; the final one is not counted
};

struct PumpTotals {
    std::uint64_t plain_bytes = 0;
    std::uint64_t sealed_bytes = 0;
    std::uint64_t records = 0;

    friend PumpTotals operator+(const PumpTotals& a, const PumpTotals& b) {
        return {a.plain_bytes + b.plain_bytes, a.sealed_bytes + b.sealed_bytes, a.records + b.records};
    }
};

// All return when the channel has ended, with its totals, or with Errc::cancelled, Errc::timeout (a stall),
// Errc::unavailable (a reader has gone), Errc::corrupt (damage, or a cut-off channel), Errc::no_space,
// Errc::io.

// From `plain_fd` until its end of file, then finishes the channel.
Result<PumpTotals> pump_in(int plain_fd, ChannelWriter& channel, const PumpRules& rules,
                           PumpCounters& counters);
// The whole channel to `plain_fd`, which stays open.
Result<PumpTotals> pump_out(ChannelReader& channel, int plain_fd, const PumpRules& rules,
                            PumpCounters& counters);

// The same with sealed records on another descriptor. After its final record pump_open reads no further.
Result<PumpTotals> pump_seal(int plain_fd, int sealed_fd, RecordSealer& sealer, const PumpRules& rules,
                             PumpCounters& counters);
Result<PumpTotals> pump_open(int sealed_fd, int plain_fd, RecordOpener& opener, const PumpRules& rules,
                             PumpCounters& counters);

}  // namespace kz::stream
