// Grace: gives what was begun some time to end after the user has given up. For monitor/outgoing.cc: a
// request that is cut off leaves its connection of no use, and with it the means to undo what the other host
// has done.
#pragma once

#include <chrono>
#include <memory>
#include <thread>

#include "os/io.h"

namespace kz::monitor {

class Grace {
  public:
    // fd() becomes readable `time` after `given_up` has become so. The descriptor must outlive this object.
    static Result<std::unique_ptr<Grace>> begin(int given_up, std::chrono::milliseconds time);
    ~Grace();
    Grace(const Grace&) = delete;
    Grace& operator=(const Grace&) = delete;

    int fd() const { return over_.fd(); }

  private:
    Grace(EventFd over, EventFd stop, int given_up, std::chrono::milliseconds time);

    EventFd over_;
    EventFd stop_;
    std::jthread watch_;
};

}  // namespace kz::monitor
