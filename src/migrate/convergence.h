// Convergence: whether a live migration will come to its end, and what to do when it will not. For the source
// side of a migration (src/monitor). Pure: fed with what QEMU reports, by whatever clock.
//
// The administrator sets two things: the longest pause of the guest, and the longest time for the whole move
// with what to do when it has passed. Everything else follows:
// - A short pause is tried first. Each time some passes over memory have not been enough, it may be twice as
//   long, up to the longest.
// - What is left at the end of each pass is compared: memory that shrinks converges. When it has not shrunk
//   for several passes, with the longest pause allowed and the guest slowed down as far as QEMU does that, it
//   will not: without a time limit the move is given up then, with one it goes on until the limit.
// - Where post-copy is allowed none of that is waited for: the longest pause is allowed at once, the guest is
// not
//   slowed down, and as soon as one pass has not left clearly less than the one before, or the time limit has
//   passed, the rest is left behind and follows while the guest runs at the destination.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace kz::migrate {

enum class OnDeadline { cancel = 1, force };

struct MovePolicy {
    std::chrono::milliseconds max_pause{300};
    std::optional<std::chrono::seconds> deadline{};
    OnDeadline on_deadline = OnDeadline::cancel;
    bool post_copy = false;  // then on_deadline does not count
};

// What is known of a migration at one moment.
struct MoveSample {
    std::chrono::milliseconds elapsed{0};  // since the memory began to move
    std::uint64_t iteration = 0;           // passes over memory, the first is 1
    std::uint64_t remaining = 0;           // bytes
    std::uint64_t bytes_per_second = 0;
    std::uint64_t dirty_bytes_per_second = 0;
    std::uint64_t throttle_percent = 0;
};

struct MoveVerdict {
    enum class Action { go_on = 1, allow_pause, force, give_up, post_copy };
    Action action = Action::go_on;
    std::chrono::milliseconds pause{0};  // of allow_pause: the new limit
    std::string reason{};                // of force, give_up and post_copy
    std::string note{};                  // for the administrator, said once; mostly empty
};

class Convergence {
  public:
    explicit Convergence(MovePolicy policy);

    std::chrono::milliseconds pause_limit() const { return pause_; }
    MoveVerdict judge(const MoveSample& sample);

  private:
    bool stalled(const MoveSample& sample) const;
    MoveVerdict judge_for_post_copy(const MoveSample& sample);
    void finish_pass(const MoveSample& sample);

    MovePolicy policy_;
    std::chrono::milliseconds pause_;
    std::uint64_t pass_ = 0;            // the last one seen
    std::uint64_t pass_at_pause_ = 0;   // when the pause was allowed to be longer
    std::uint64_t least_left_ = 0;      // bytes at the end of a pass; 0: none has ended
    std::uint64_t passes_stalled_ = 0;  // since that has become clearly less
    bool throttle_noted_ = false;
    bool forced_ = false;  // or switched to post-copy
};

// How long the guest would stand still if it were stopped now.
std::chrono::milliseconds implied_pause(const MoveSample& sample);
// Until what is left has moved, at what memory moves and changes now. Nothing when that has no end.
std::optional<std::chrono::milliseconds> time_left(const MoveSample& sample);

}  // namespace kz::migrate
