#include "migrate/convergence.h"

#include <fmt/format.h>

#include <algorithm>

namespace kz::migrate {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{20};
constexpr std::uint64_t kPassesPerPause = 4;
// A pass that leaves less than this part of the least so far has made progress.
constexpr std::uint64_t kProgressPercent = 90;
// With the guest slowed down as far as it goes; and where QEMU does not slow it down at all.
constexpr std::uint64_t kStalledPasses = 8;
constexpr std::uint64_t kStalledPassesUnthrottled = 40;
constexpr std::uint64_t kFullThrottle = 99;

std::string describe(const MoveSample& sample) {
    return fmt::format(
        "memory changes at {:.1f} MB/s and moves at {:.1f} MB/s; {:.1f} MB are left, which is a pause of {} "
        "ms",
        static_cast<double>(sample.dirty_bytes_per_second) / 1e6,
        static_cast<double>(sample.bytes_per_second) / 1e6, static_cast<double>(sample.remaining) / 1e6,
        implied_pause(sample).count());
}

}  // namespace

milliseconds implied_pause(const MoveSample& sample) {
    constexpr std::uint64_t kLongest = 3'600'000;
    if (sample.bytes_per_second == 0) return milliseconds(kLongest);
    // Bytes by bytes per millisecond: no product that could overflow.
    const std::uint64_t per_millisecond = std::max<std::uint64_t>(sample.bytes_per_second / 1000, 1);
    return milliseconds(std::min(sample.remaining / per_millisecond, kLongest));
}

std::optional<milliseconds> time_left(const MoveSample& sample) {
    if (sample.bytes_per_second <= sample.dirty_bytes_per_second) return std::nullopt;
    MoveSample net = sample;
    net.bytes_per_second -= sample.dirty_bytes_per_second;
    return implied_pause(net);
}

Convergence::Convergence(MovePolicy policy)
    : policy_(policy),
      pause_(policy.post_copy ? policy.max_pause : std::min(kFirstPause, policy.max_pause)) {}

void Convergence::finish_pass(const MoveSample& sample) {
    pass_ = sample.iteration;
    // The first one is the whole memory: there is nothing to compare it with.
    if (sample.iteration < 2) return;
    if (least_left_ == 0 || sample.remaining < least_left_ / 100 * kProgressPercent) {
        least_left_ = std::max<std::uint64_t>(sample.remaining, 1);
        passes_stalled_ = 0;
    } else {
        ++passes_stalled_;
    }
}

bool Convergence::stalled(const MoveSample& sample) const {
    if (pause_ < policy_.max_pause) return false;
    if (sample.throttle_percent >= kFullThrottle) return passes_stalled_ >= kStalledPasses;
    return passes_stalled_ >= kStalledPassesUnthrottled;
}

// Said once: what follows is up to QEMU.
MoveVerdict Convergence::judge_for_post_copy(const MoveSample& sample) {
    MoveVerdict verdict;
    if (forced_) return verdict;
    const bool late = policy_.deadline && sample.elapsed >= *policy_.deadline;
    if (!late && passes_stalled_ == 0) return verdict;
    forced_ = true;
    verdict.action = MoveVerdict::Action::post_copy;
    verdict.reason =
        late ? fmt::format("not done within {} seconds: {}", policy_.deadline->count(), describe(sample))
             : fmt::format("it does not converge: {}", describe(sample));
    return verdict;
}

MoveVerdict Convergence::judge(const MoveSample& sample) {
    using Action = MoveVerdict::Action;
    if (sample.iteration > pass_) finish_pass(sample);
    if (policy_.post_copy) return judge_for_post_copy(sample);
    MoveVerdict verdict;
    if (sample.throttle_percent > 0 && !throttle_noted_) {
        throttle_noted_ = true;
        verdict.note =
            "memory changes faster than it moves: slowing the zone's processors down until it converges.";
    }
    if (policy_.deadline && sample.elapsed >= *policy_.deadline) {
        if (forced_) return verdict;
        forced_ = policy_.on_deadline == OnDeadline::force;
        verdict.action = forced_ ? Action::force : Action::give_up;
        verdict.reason =
            fmt::format("not done within {} seconds: {}", policy_.deadline->count(), describe(sample));
        return verdict;
    }
    if (pause_ < policy_.max_pause && sample.iteration >= pass_at_pause_ + kPassesPerPause) {
        pass_at_pause_ = sample.iteration;
        pause_ = std::min(pause_ * 2, policy_.max_pause);
        verdict.action = Action::allow_pause;
        verdict.pause = pause_;
        return verdict;
    }
    if (!policy_.deadline && stalled(sample)) {
        verdict.action = Action::give_up;
        verdict.reason = fmt::format(
            "it does not converge: {}. Allow a longer pause (--max-pause), set a time after which the switch "
            "is forced (--deadline S --on-deadline force), or move it when it is less busy",
            describe(sample));
    }
    return verdict;
}

}  // namespace kz::migrate
