#include "monitor/move_speed.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::seconds kSpan{2};

}  // namespace

void MoveSpeed::add(const stream::PumpTotals& totals, Clock::time_point now) {
    points_.push_back({now, totals});
    while (points_.size() > 2 && points_[1].when <= now - kSpan)
        points_.pop_front();
}

std::uint64_t MoveSpeed::per_second(std::uint64_t stream::PumpTotals::* bytes) const {
    if (points_.size() < 2) return 0;
    const Point& first = points_.front();
    const Point& last = points_.back();
    const double seconds = std::chrono::duration<double>(last.when - first.when).count();
    if (seconds <= 0) return 0;
    return static_cast<std::uint64_t>(static_cast<double>(last.totals.*bytes - first.totals.*bytes) /
                                      seconds);
}

std::uint64_t MoveSpeed::plain() const {
    return per_second(&stream::PumpTotals::plain_bytes);
}

std::uint64_t MoveSpeed::sealed() const {
    return per_second(&stream::PumpTotals::sealed_bytes);
}

}  // namespace kz::monitor
