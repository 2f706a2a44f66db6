// TcpPeer: tells a wait for the network from a wait for a peer that does not read. Private to src/stream.
//
// A peer that reads more slowly than the network delivers lets its receive buffer fill up. Then the window
// that it offers becomes much narrower than it once was; or, when it has been slow from the start, never
// becomes wide, and the kernel counts the time for which that window alone held us up. A wide window that
// holds us up is no sign of a slow peer, but of a long way.
#pragma once

#include <chrono>
#include <cstdint>

namespace kz::stream {

class TcpPeer {
  public:
    // `fd` may be anything; who is not TCP never lags.
    explicit TcpPeer(int fd) : fd_(fd) {}

    // To be called now and then, and always before waiting for room.
    void look();
    // After waiting for `waited`: how much of it was the peer's doing.
    std::chrono::nanoseconds lag_in(std::chrono::nanoseconds waited);

  private:
    void ask();

    int fd_;
    std::uint32_t window_ = 0;                    // that the peer offers, bytes
    std::uint32_t widest_ = 0;                    // that it has ever offered
    std::chrono::microseconds window_limited_{};  // since the connection exists
    std::chrono::nanoseconds unclaimed_{};        // of it, not yet part of a wait
};

}  // namespace kz::stream
