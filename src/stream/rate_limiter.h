// RateLimiter: one limit of bytes per second for all channels of a migration. For src/stream, src/migrate and
// src/monitor.
#pragma once

#include <chrono>
#include <mutex>

#include "base/bytes.h"

namespace kz::stream {

// The arithmetic: a bucket that fills at a rate and may be overdrawn by one taking. It holds what comes in
// 20 ms, so that an idle channel cannot save up a burst. Time is the caller's.
class TokenBucket {
  public:
    using Clock = std::chrono::steady_clock;

    // 0 is no limit. What was overdrawn at the old rate is waited for at the new one.
    void set_rate(std::uint64_t bytes_per_second, Clock::time_point now);
    std::uint64_t rate() const { return rate_; }
    // Takes `bytes` and returns zero when nothing is owed; else takes nothing and returns after how long it
    // is worth asking again.
    std::chrono::nanoseconds take(std::size_t bytes, Clock::time_point now);

  private:
    void fill(Clock::time_point now);

    std::uint64_t rate_ = 0;
    double tokens_ = 0;  // negative: owed
    Clock::time_point filled_{};
};

// Any thread may call anything at any time. Must outlive the pumps that use it.
class RateLimiter {
  public:
    explicit RateLimiter(std::uint64_t bytes_per_second = 0) { set_rate(bytes_per_second); }

    // Bytes per second, 0 for no limit. Whoever waits notices within 50 ms.
    void set_rate(std::uint64_t bytes_per_second);
    std::uint64_t rate() const;
    // How much to take at once for the flow to be even: what may be sent in 20 ms, not less than 16 KiB. All,
    // where there is no limit.
    std::size_t even_piece() const;

    // Returns when `bytes` may be sent; they may be more than come in a second. `cancel_fd`, unless -1, ends
    // the wait with Errc::cancelled when it becomes readable.
    Result<void> acquire(std::size_t bytes, int cancel_fd = -1);

  private:
    mutable std::mutex mutex_;
    TokenBucket bucket_;
};

}  // namespace kz::stream
