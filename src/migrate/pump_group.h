// PumpGroup: the threads that move the channels of one migration or image. For the monitor.
//
// One thread a channel. The first that fails stops all others: half a stream is of no use. Channels are made
// by accept_channels() (QEMU connects to us: it sends) or connect_channels() (we connect to QEMU: it
// receives).
//
// A QEMU that sends may hang for ever, its guest too, when its sockets are closed under it
// (qemu/migration.h). So what it sends after a failure is read and dropped until it closes them itself, or
// until join() or the end of the group: whoever gives a stream up ends QEMU's migration before.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "os/io.h"
#include "os/paths.h"
#include "stream/pump.h"

namespace kz::migrate {

// Moves one channel between `local_fd` (QEMU's end is at the other side) and wherever it goes; runs on a
// thread of the group.
using PumpBody = std::function<Result<stream::PumpTotals>(
    unsigned channel, int local_fd, const stream::PumpRules& rules, stream::PumpCounters& counters)>;

class PumpGroup {
  public:
    // `on_failure` is called once, on a thread of the group, when the first channel has failed or been
    // cancelled. `limiter`, unless null, limits what all channels send together; it outlives the group.
    static Result<std::unique_ptr<PumpGroup>> create(std::function<void()> on_failure = {},
                                                     stream::RateLimiter* limiter = nullptr);
    // Cancels and joins.
    ~PumpGroup();
    PumpGroup(const PumpGroup&) = delete;
    PumpGroup& operator=(const PumpGroup&) = delete;

    // What becomes of what QEMU sends on a channel that has failed, until it is closed. Dropped: see above.
    // Held: it is not read, and waits: a QEMU that takes up a broken post-copy migration again must not
    // believe that it has sent its last page.
    enum class Leftover { dropped = 1, held };
    // Takes `channels` connections from `listener` and pumps each; the first is channel 0, QEMU's main
    // channel.
    void accept_channels(UniqueFd listener, unsigned channels, PumpBody body,
                         Leftover leftover = Leftover::dropped);
    // Connects `channels` times to `socket`, in order (QEMU 7.2 takes the first for its main channel), and
    // pumps each.
    Result<void> connect_channels(const Path& socket, unsigned channels, PumpBody body, Deadline deadline);

    // Waits until every channel has ended; closes those that have failed. The first error of any,
    // Errc::cancelled when cancel() was first.
    Result<stream::PumpTotals> join();
    void cancel();
    // Readable when a channel has failed or all was cancelled.
    int failed_fd() const { return cancel_.fd(); }
    // Nothing while nothing has failed.
    std::optional<Error> failure() const;
    // So far; may be asked at any time.
    stream::PumpTotals totals() const;
    // Of these, the sealed bytes of each channel.
    std::vector<std::uint64_t> channel_bytes() const;

  private:
    PumpGroup(EventFd cancel, EventFd release, std::function<void()> on_failure, stream::RateLimiter* limiter)
        : cancel_(std::move(cancel)),
          release_(std::move(release)),
          on_failure_(std::move(on_failure)),
          limiter_(limiter) {}
    void start(unsigned channel, UniqueFd local, PumpBody body);
    void record_failure(Error error);
    void drop(int local_fd) const;

    EventFd cancel_;
    EventFd release_;
    std::function<void()> on_failure_;
    stream::RateLimiter* limiter_;
    std::atomic<bool> joining_ = false;
    mutable std::mutex mutex_;
    std::optional<Error> failure_;
    std::list<stream::PumpCounters> counters_;
    std::list<std::jthread> threads_;
    std::jthread acceptor_;
};

}  // namespace kz::migrate
