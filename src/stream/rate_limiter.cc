#include "stream/rate_limiter.h"

#include <algorithm>
#include <limits>

#include "os/io.h"

namespace kz::stream {
namespace {

constexpr double kBurstSeconds = 0.02;
// A new rate must be noticed by those who wait for the old one.
constexpr std::chrono::milliseconds kLongestNap{50};
constexpr std::chrono::milliseconds kShortestNap{1};
constexpr std::uint64_t kLeastPiece = 16 * 1024;
constexpr std::uint64_t kPiecesPerSecond = 50;

}  // namespace

void TokenBucket::set_rate(std::uint64_t bytes_per_second, Clock::time_point now) {
    fill(now);
    if (rate_ == 0 || bytes_per_second == 0) tokens_ = 0;
    rate_ = bytes_per_second;
}

void TokenBucket::fill(Clock::time_point now) {
    const double elapsed = std::chrono::duration<double>(now - filled_).count();
    filled_ = now;
    const auto rate = static_cast<double>(rate_);
    tokens_ = std::min(tokens_ + rate * std::max(elapsed, 0.0), rate * kBurstSeconds);
}

std::chrono::nanoseconds TokenBucket::take(std::size_t bytes, Clock::time_point now) {
    if (rate_ == 0) return {};
    fill(now);
    if (tokens_ >= 0) {
        tokens_ -= static_cast<double>(bytes);
        return {};
    }
    const std::chrono::duration<double> owed(-tokens_ / static_cast<double>(rate_));
    return std::chrono::ceil<std::chrono::nanoseconds>(std::min(owed, std::chrono::duration<double>(3600)));
}

void RateLimiter::set_rate(std::uint64_t bytes_per_second) {
    const std::lock_guard lock(mutex_);
    bucket_.set_rate(bytes_per_second, TokenBucket::Clock::now());
}

std::uint64_t RateLimiter::rate() const {
    const std::lock_guard lock(mutex_);
    return bucket_.rate();
}

std::size_t RateLimiter::even_piece() const {
    const std::uint64_t limit = rate();
    if (limit == 0) return std::numeric_limits<std::size_t>::max();
    return std::max(limit / kPiecesPerSecond, kLeastPiece);
}

Result<void> RateLimiter::acquire(std::size_t bytes, int cancel_fd) {
    while (true) {
        std::chrono::nanoseconds owed;
        {
            const std::lock_guard lock(mutex_);
            owed = bucket_.take(bytes, TokenBucket::Clock::now());
        }
        if (owed == std::chrono::nanoseconds::zero()) return {};
        const auto nap =
            std::clamp(std::chrono::ceil<std::chrono::milliseconds>(owed), kShortestNap, kLongestNap);
        const Result<void> waited = wait_readable(-1, Deadline::after(nap), cancel_fd);
        if (!waited && waited.error().code() != Errc::timeout) return waited;
    }
}

}  // namespace kz::stream
