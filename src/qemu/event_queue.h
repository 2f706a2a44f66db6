// EventQueue: the shared end of an EventWait and its connection. Inside qemu only.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <set>

#include "os/io.h"
#include "qemu/qmp.h"

namespace kz::qemu {

class EventQueue {
  public:
    static Result<std::shared_ptr<EventQueue>> create(std::vector<std::string> names);

    // Keeps the event if it is one of the wanted.
    void push(const QmpEvent& event);
    // No event will come any more.
    void end(const Error& why);

    Result<QmpEvent> next(Deadline deadline, int cancel_fd);
    int fd() const { return ready_.fd(); }

  private:
    static constexpr std::size_t kMaxUnread = 16384;

    EventQueue(std::set<std::string> names, EventFd ready)
        : names_(std::move(names)), ready_(std::move(ready)) {}
    std::optional<Result<QmpEvent>> take();

    const std::set<std::string> names_;  // empty: all
    EventFd ready_;                      // readable while there is an event or the end
    std::mutex mutex_;
    std::deque<QmpEvent> events_;
    std::optional<Error> ended_;
};

}  // namespace kz::qemu
