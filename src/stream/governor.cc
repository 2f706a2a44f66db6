#include "stream/governor.h"

#include <algorithm>

namespace kz::stream {
namespace {

constexpr std::chrono::milliseconds kWindow{50};
constexpr std::size_t kWindowRecords = 8;
constexpr double kLinkBound = 0.5;
constexpr double kUnlimited = 0.1;
constexpr unsigned kFirstBar = 20;     // about 1 s
constexpr unsigned kLongestBar = 640;  // about 30 s
constexpr unsigned kPatience = 40;     // about 2 s

double seconds(std::chrono::nanoseconds span) {
    return std::chrono::duration<double>(span).count();
}

}  // namespace

void CompressionGovernor::record(const SendTimes& times) {
    window_.plain += times.plain;
    window_.work += times.work;
    window_.link_wait += times.link_wait;
    window_.peer_wait += times.peer_wait;
    ++window_records_;
    const auto active = window_.work + window_.link_wait + window_.peer_wait;
    if (window_records_ >= kWindowRecords && active >= kWindow) close_window();
}

void CompressionGovernor::close_window() {
    const double active = seconds(window_.work + window_.link_wait + window_.peer_wait);
    const double link_share = seconds(window_.link_wait) / active;
    rates_[step_] = static_cast<double>(window_.plain) / active;
    window_ = {};
    window_records_ = 0;
    for (unsigned& windows : barred_)
        windows -= windows > 0 ? 1 : 0;

    if (link_share >= kLinkBound) {
        step_up();
    } else if (link_share < kUnlimited && step_ > 0) {
        step_down();
    } else {
        unlimited_windows_ = 0;
    }
}

void CompressionGovernor::step_up() {
    unlimited_windows_ = 0;
    if (step_ + 1 < kSteps && barred_[step_ + 1] == 0) ++step_;
}

void CompressionGovernor::step_down() {
    const bool pays = rates_[step_] > rates_[step_ - 1];
    if (pays) {
        next_bar_[step_] = 0;
        if (++unlimited_windows_ < kPatience) return;
    } else {
        next_bar_[step_] = std::clamp(next_bar_[step_] * 2, kFirstBar, kLongestBar);
        barred_[step_] = next_bar_[step_];
    }
    unlimited_windows_ = 0;
    --step_;
}

}  // namespace kz::stream
