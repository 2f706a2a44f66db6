// MoveLimits: what may be changed about a live migration while it runs. For the monitor's own files: the
// operation that moves the zone uses it, and another thread changes it beside that.
#pragma once

#include <mutex>

#include "stream/rate_limiter.h"

namespace kz::monitor {

class MoveLimits {
  public:
    // A migration, one at a time; its limits can be changed as long as this lives.
    class Use {
      public:
        // Bytes per second of all connections together; 0: no limit.
        Use(MoveLimits& limits, std::uint64_t bandwidth) : limits_(limits) {
            const std::lock_guard lock(limits_.mutex_);
            limits_.in_use_ = true;
            limits_.limiter_.set_rate(bandwidth);
        }
        ~Use() {
            const std::lock_guard lock(limits_.mutex_);
            limits_.in_use_ = false;
        }
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;

        stream::RateLimiter& limiter() const { return limits_.limiter_; }

      private:
        MoveLimits& limits_;
    };

    // Any thread. Errc::wrong_state when no live migration is under way.
    Result<void> set_bandwidth(std::uint64_t bytes_per_second) {
        const std::lock_guard lock(mutex_);
        if (!in_use_) return fail(Errc::wrong_state, "no live migration of the zone is under way");
        limiter_.set_rate(bytes_per_second);
        return {};
    }

  private:
    std::mutex mutex_;
    bool in_use_ = false;  // by mutex_
    stream::RateLimiter limiter_;
};

}  // namespace kz::monitor
