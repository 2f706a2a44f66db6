#include "migrate/pump_group.h"

#include <sys/socket.h>

#include "os/socket.h"

namespace kz::migrate {
namespace {

// Large local buffers matter more than anything else here: each saves a wake-up of QEMU (measurements.md).
constexpr int kLocalBuffer = 4 * 1024 * 1024;
constexpr std::size_t kDropped = 256 * 1024;

}  // namespace

Result<std::unique_ptr<PumpGroup>> PumpGroup::create(std::function<void()> on_failure,
                                                     stream::RateLimiter* limiter) {
    KZ_TRY(EventFd cancel, EventFd::create());
    KZ_TRY(EventFd release, EventFd::create());
    return std::unique_ptr<PumpGroup>(
        new PumpGroup(std::move(cancel), std::move(release), std::move(on_failure), limiter));
}

PumpGroup::~PumpGroup() {
    cancel();
    release_.signal();
    [[maybe_unused]] const auto outcome = join();
}

void PumpGroup::accept_channels(UniqueFd listener, unsigned channels, PumpBody body, Leftover leftover) {
    const PumpBody moved_or_dropped = [this, leftover, pump = std::move(body)](
                                          unsigned channel, int local_fd, const stream::PumpRules& rules,
                                          stream::PumpCounters& counters) {
        Result<stream::PumpTotals> moved = pump(channel, local_fd, rules, counters);
        if (!moved) {
            record_failure(Error(moved.error()).context(fmt::format("channel {}", channel)));
            if (leftover == Leftover::dropped)
                drop(local_fd);
            else [[maybe_unused]]
                const auto released = wait_readable(release_.fd(), Deadline::never());
        }
        return moved;
    };
    acceptor_ = std::jthread([this, owned = std::move(listener), channels, moved_or_dropped] {
        for (unsigned channel = 0; channel < channels; ++channel) {
            Result<UniqueFd> local = accept_connection(owned.get(), Deadline::never(), release_.fd());
            if (!local) return record_failure(std::move(local).error());
            start(channel, std::move(*local), moved_or_dropped);
        }
    });
}

Result<void> PumpGroup::connect_channels(const Path& socket, unsigned channels, PumpBody body,
                                         Deadline deadline) {
    for (unsigned channel = 0; channel < channels; ++channel) {
        KZ_TRY_CONTEXT(UniqueFd local, unix_connect(socket, deadline), "connecting to QEMU");
        start(channel, std::move(local), body);
    }
    return {};
}

void PumpGroup::start(unsigned channel, UniqueFd local, PumpBody body) {
    set_socket_buffers(local.get(), kLocalBuffer);
    const std::lock_guard lock(mutex_);
    stream::PumpCounters& counters = counters_.emplace_back();
    threads_.emplace_back([this, channel, owned = std::move(local), pump = std::move(body), &counters] {
        const stream::PumpRules rules{
            .cancel_fd = cancel_.fd(), .input_stall = {}, .output_stall = {}, .limiter = limiter_};
        Result<stream::PumpTotals> moved = pump(channel, owned.get(), rules, counters);
        if (!moved) record_failure(std::move(moved).error().context(fmt::format("channel {}", channel)));
    });
}

void PumpGroup::record_failure(Error error) {
    {
        const std::lock_guard lock(mutex_);
        if (failure_) return;
        failure_ = std::move(error);
    }
    cancel();
    if (on_failure_) on_failure_();
}

void PumpGroup::cancel() {
    cancel_.signal();
    if (joining_) release_.signal();
}

void PumpGroup::drop(int local_fd) const {
    Bytes chunk(kDropped);
    while (true) {
        const Result<std::size_t> got = read_some(local_fd, chunk, Deadline::never(), release_.fd());
        if (!got || *got == 0) return;
    }
}

Result<stream::PumpTotals> PumpGroup::join() {
    joining_ = true;
    if (wait_readable(cancel_.fd(), Deadline::after(std::chrono::milliseconds(0)))) release_.signal();
    if (acceptor_.joinable()) acceptor_.join();
    // The acceptor alone adds threads, and it has ended.
    for (std::jthread& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
    if (const std::optional<Error> error = failure()) return std::unexpected(*error);
    return totals();
}

std::optional<Error> PumpGroup::failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
}

stream::PumpTotals PumpGroup::totals() const {
    const std::lock_guard lock(mutex_);
    stream::PumpTotals sum;
    for (const stream::PumpCounters& counters : counters_) {
        sum.plain_bytes += counters.plain_bytes;
        sum.sealed_bytes += counters.sealed_bytes;
        sum.records += counters.records;
    }
    return sum;
}

std::vector<std::uint64_t> PumpGroup::channel_bytes() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::uint64_t> bytes;
    for (const stream::PumpCounters& counters : counters_)
        bytes.push_back(counters.sealed_bytes);
    return bytes;
}

}  // namespace kz::migrate
