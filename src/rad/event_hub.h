// EventHub: what happens to this host's zones, told to whoever subscribes. For src/rad.
//
// Theory of operation. An event is a JSON object with "type", "zone" and "when"; each gets the next "id".
// A subscriber has a queue of kQueue events. One who does not take them in time loses them all and is told
// so: the queue is replaced by an end, so that a slow reader costs a fixed amount of memory and never sees a
// gap that looks like none.
#pragma once

#include <atomic>
#include <deque>
#include <list>
#include <memory>
#include <mutex>

#include "base/json.h"
#include "os/io.h"

namespace kz::rad {

class EventHub;

// One who listens; ends with the object. Used by one thread.
class Subscription {
  public:
    Subscription(EventHub& hub, EventFd signal) : hub_(hub), signal_(std::move(signal)) {}
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    ~Subscription();

    // Readable when next() has something.
    int fd() const { return signal_.fd(); }
    // The next event; nothing when there is none. Errors: Errc::no_space, from the moment on at which events
    // were lost.
    Result<std::optional<Json>> next();

  private:
    friend class EventHub;
    EventHub& hub_;
    EventFd signal_;
    // Guarded by the hub's mutex.
    std::deque<Json> queue_;
    bool overrun_ = false;
};

// Thread-safe; outlives its subscriptions.
class EventHub {
  public:
    static constexpr std::size_t kQueue = 256;
    static constexpr std::size_t kSubscribers = 24;

    // Adds "id" and "when".
    void publish(Json event);
    // Errors: Errc::unavailable when there are kSubscribers.
    Result<std::unique_ptr<Subscription>> subscribe();
    std::size_t subscriber_count() const;

  private:
    friend class Subscription;
    mutable std::mutex mutex_;
    std::list<Subscription*> subscribers_;
    std::uint64_t last_id_ = 0;
};

}  // namespace kz::rad
