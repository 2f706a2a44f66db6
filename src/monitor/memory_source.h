// MemorySource: where a machine that runs already gets the memory from that it lacks. For the monitor's own
// files: a suspend image (monitor/lazy_resume.h) or another host (monitor/post_copy_arrival.h).
#pragma once

#include "base/result.h"

namespace kz::monitor {

class MemorySource {
  public:
    // Ends whatever serves; a machine that does not have all its memory is lost then.
    virtual ~MemorySource() = default;
    // QEMU has everything.
    virtual bool complete() const = 0;
    // Waits for that. Errors: Errc::cancelled, what has gone wrong.
    virtual Result<void> wait_until_complete(int cancel_fd) = 0;
};

}  // namespace kz::monitor
