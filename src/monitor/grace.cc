#include "monitor/grace.h"

namespace kz::monitor {

Result<std::unique_ptr<Grace>> Grace::begin(int given_up, std::chrono::milliseconds time) {
    KZ_TRY(EventFd over, EventFd::create());
    KZ_TRY(EventFd stop, EventFd::create());
    return std::unique_ptr<Grace>(new Grace(std::move(over), std::move(stop), given_up, time));
}

Grace::Grace(EventFd over, EventFd stop, int given_up, std::chrono::milliseconds time)
    : over_(std::move(over)), stop_(std::move(stop)), watch_([this, given_up, time] {
          if (!wait_readable(given_up, Deadline::never(), stop_.fd())) return;
          const Result<void> stopped = wait_readable(stop_.fd(), Deadline::after(time));
          if (!stopped && stopped.error().code() == Errc::timeout) over_.signal();
      }) {}

Grace::~Grace() {
    stop_.signal();
}

}  // namespace kz::monitor
