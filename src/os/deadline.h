// Deadline: the moment by which something must have happened, on the monotonic clock. For every floor that
// waits.
#pragma once

#include <chrono>
#include <optional>

namespace kz {

class Deadline {
  public:
    using Clock = std::chrono::steady_clock;

    static Deadline never() { return Deadline(std::nullopt); }
    static Deadline after(std::chrono::milliseconds span) { return Deadline(Clock::now() + span); }

    bool passed() const { return moment_ && Clock::now() >= *moment_; }
    // For poll(2): milliseconds left, rounded up, 0 when passed, -1 for never.
    int poll_timeout() const {
        if (!moment_) return -1;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*moment_ - Clock::now()).count();
        return left <= 0 ? 0 : static_cast<int>(std::min<long long>(left, 1 << 30));
    }
    // The earlier of the two.
    Deadline earlier(const Deadline& other) const {
        if (!moment_) return other;
        if (!other.moment_) return *this;
        return *moment_ < *other.moment_ ? *this : other;
    }

  private:
    explicit Deadline(std::optional<Clock::time_point> moment) : moment_(moment) {}
    std::optional<Clock::time_point> moment_;
};

}  // namespace kz
