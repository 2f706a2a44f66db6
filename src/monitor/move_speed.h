// MoveSpeed: how fast a stream moves, from its totals now and then. For the monitor's own files. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>

#include "stream/pump.h"

namespace kz::monitor {

// Bytes per second over the last two seconds, or what there is of them: QEMU's own figure is that of its last
// tenth of a second, which on a slow link is all or nothing.
class MoveSpeed {
  public:
    using Clock = std::chrono::steady_clock;

    void add(const stream::PumpTotals& totals, Clock::time_point now);
    std::uint64_t plain() const;   // of memory
    std::uint64_t sealed() const;  // on the wire

  private:
    struct Point {
        Clock::time_point when;
        stream::PumpTotals totals;
    };
    std::uint64_t per_second(std::uint64_t stream::PumpTotals::* bytes) const;
    std::deque<Point> points_;  // oldest first
};

}  // namespace kz::monitor
