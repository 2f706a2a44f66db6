#include "rad/event_hub.h"

#include "base/log.h"

namespace kz::rad {

Subscription::~Subscription() {
    const std::lock_guard lock(hub_.mutex_);
    hub_.subscribers_.remove(this);
}

Result<std::optional<Json>> Subscription::next() {
    const std::lock_guard lock(hub_.mutex_);
    if (overrun_) return fail(Errc::no_space, "events were lost: they were not taken in time");
    signal_.reset();
    if (queue_.empty()) return std::nullopt;
    Json event = std::move(queue_.front());
    queue_.pop_front();
    if (!queue_.empty()) signal_.signal();
    return event;
}

void EventHub::publish(Json event) {
    const std::lock_guard lock(mutex_);
    event["id"] = ++last_id_;
    event["when"] = utc_timestamp();
    for (Subscription* each : subscribers_) {
        if (each->overrun_) continue;
        each->overrun_ = each->queue_.size() >= kQueue;
        if (each->overrun_)
            std::deque<Json>().swap(each->queue_);
        else
            each->queue_.push_back(event);
        each->signal_.signal();
    }
}

Result<std::unique_ptr<Subscription>> EventHub::subscribe() {
    KZ_TRY(EventFd signal, EventFd::create());
    auto subscription = std::make_unique<Subscription>(*this, std::move(signal));
    const std::lock_guard lock(mutex_);
    if (subscribers_.size() >= kSubscribers)
        return fail(Errc::unavailable, "{} clients listen to events already", kSubscribers);
    subscribers_.push_back(subscription.get());
    return subscription;
}

std::size_t EventHub::subscriber_count() const {
    const std::lock_guard lock(mutex_);
    return subscribers_.size();
}

}  // namespace kz::rad
