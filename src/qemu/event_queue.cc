#include "qemu/event_queue.h"

namespace kz::qemu {

Result<std::shared_ptr<EventQueue>> EventQueue::create(std::vector<std::string> names) {
    KZ_TRY(EventFd ready, EventFd::create());
    std::set<std::string> wanted(names.begin(), names.end());
    return std::shared_ptr<EventQueue>(new EventQueue(std::move(wanted), std::move(ready)));
}

void EventQueue::push(const QmpEvent& event) {
    if (!names_.empty() && !names_.contains(event.name)) return;
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    if (events_.size() == kMaxUnread) {
        ended_ = Error::make(Errc::protocol, "more than {} events of QEMU were left unread", kMaxUnread);
        return;
    }
    events_.push_back(event);
    ready_.signal();
}

void EventQueue::end(const Error& why) {
    const std::lock_guard lock(mutex_);
    if (!ended_) ended_ = why;
    ready_.signal();
}

std::optional<Result<QmpEvent>> EventQueue::take() {
    const std::lock_guard lock(mutex_);
    if (!events_.empty()) {
        QmpEvent event = std::move(events_.front());
        events_.pop_front();
        if (events_.empty() && !ended_) ready_.reset();
        return event;
    }
    if (ended_) return std::unexpected(*ended_);
    return std::nullopt;
}

Result<QmpEvent> EventQueue::next(Deadline deadline, int cancel_fd) {
    while (true) {
        if (auto outcome = take()) return *std::move(outcome);
        KZ_CHECK(wait_readable(fd(), deadline, cancel_fd));
    }
}

}  // namespace kz::qemu
