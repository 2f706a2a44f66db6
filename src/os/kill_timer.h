// KillTimer: a bound on how late this process may finish what it has begun, held even against a process that
// is stopped. For those who write what must never be written late.
#pragma once

#include <time.h>

#include <chrono>
#include <memory>

#include "base/result.h"

namespace kz {

// While it lives: SIGKILL to this process after `span` of CLOCK_BOOTTIME. The kernel sends it, whether or not
// the process is stopped, frozen or starved. A child of fork() has no such timer.
class KillTimer {
  public:
    // A span of zero: no timer. Errors: from timer_create(2), when the user has too many.
    static Result<KillTimer> arm(std::chrono::milliseconds span);

  private:
    struct Delete {
        void operator()(timer_t* timer) const;
    };
    explicit KillTimer(std::unique_ptr<timer_t, Delete> timer) : timer_(std::move(timer)) {}
    std::unique_ptr<timer_t, Delete> timer_;
};

}  // namespace kz
