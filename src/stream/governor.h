// CompressionGovernor: decides, record by record, how hard a channel is compressed. Private to src/stream,
// but for its Sample.
//
// Theory of operation
//
// Compressing pays when the link is what limits, and hurts when a processor is. Who sends knows which: it
// either waits for the link or it does not. Times are summed up over windows of some 50 ms in which there was
// something to send. A window that was mostly spent waiting for the link takes one step up (nothing, lz4,
// zstd). One that hardly waited is limited by a processor: then what counts is whether more plain bytes have
// moved than did one step below, and if not, that step is not tried again for a while, longer each time.
// In between nothing changes. Since links change, a step that has not met its limit for two seconds is given
// up for a window; if it was right the wait that follows brings it back.
//
// A wait for a peer that does not read is no wait for the link: compressing would give the peer more to do.
#pragma once

#include <array>
#include <chrono>

#include "stream/codec.h"

namespace kz::stream {

// What one record cost its sender.
struct SendTimes {
    std::size_t plain = 0;                 // bytes
    std::chrono::nanoseconds work{};       // compressing, sealing, system calls
    std::chrono::nanoseconds link_wait{};  // until the link, or the limit of its rate, took it
    std::chrono::nanoseconds peer_wait{};  // until the peer had room
};

class CompressionGovernor {
  public:
    Codec codec() const { return static_cast<Codec>(step_ + 1); }
    void record(const SendTimes& times);

  private:
    static constexpr std::size_t kSteps = 3;

    void close_window();
    void step_up();
    void step_down();

    SendTimes window_;
    std::size_t window_records_ = 0;
    std::size_t step_ = 0;
    std::array<double, kSteps> rates_{};       // plain bytes per second of the last window at each step
    std::array<unsigned, kSteps> barred_{};    // windows for which a step is not to be tried
    std::array<unsigned, kSteps> next_bar_{};  // for how many it is barred when it fails again
    unsigned unlimited_windows_ = 0;           // in a row, at a step that pays
};

}  // namespace kz::stream
