// Refusals: tells of clients that were turned away, in at most one line per second, so that whoever knocks
// often does not fill the log. For rad/server.cc.
#pragma once

#include <mutex>
#include <string_view>

#include "base/log.h"
#include "os/deadline.h"

namespace kz::rad {

// Thread-safe.
class Refusals {
  public:
    explicit Refusals(Log& log) : log_(log) {}

    void tell(std::string_view address, std::string_view why) {
        const std::lock_guard lock(mutex_);
        ++untold_;
        if (!next_.passed()) return;
        if (untold_ == 1)
            log_.info("refused {}: {}", address, why);
        else
            log_.info("refused {} clients, the last {}: {}", untold_, address, why);
        untold_ = 0;
        next_ = Deadline::after(std::chrono::seconds(1));
    }

  private:
    Log& log_;
    std::mutex mutex_;
    Deadline next_ = Deadline::after(std::chrono::seconds(0));
    unsigned untold_ = 0;
};

}  // namespace kz::rad
