#include "migrate/convergence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kz::migrate {
namespace {

using namespace std::chrono_literals;
using Action = MoveVerdict::Action;
using testing::HasSubstr;

constexpr std::uint64_t kMB = 1'000'000;

MoveSample sample_of(std::uint64_t iteration, std::uint64_t remaining, std::uint64_t throttle = 0) {
    return {.elapsed = 1s * static_cast<int>(iteration),
            .iteration = iteration,
            .remaining = remaining,
            .bytes_per_second = 100 * kMB,
            .dirty_bytes_per_second = 200 * kMB,
            .throttle_percent = throttle};
}

TEST(Convergence, TriesAShortPauseFirstAndNeverALongerOneThanAllowed) {
    Convergence convergence({.max_pause = 100ms});
    EXPECT_EQ(convergence.pause_limit(), 20ms);
    std::vector<std::int64_t> limits;
    for (std::uint64_t pass = 1; pass < 40; ++pass) {
        const MoveVerdict verdict = convergence.judge(sample_of(pass, 50 * kMB));
        if (verdict.action == Action::allow_pause) limits.push_back(verdict.pause.count());
    }
    EXPECT_THAT(limits, testing::ElementsAre(40, 80, 100));
    EXPECT_EQ(Convergence({.max_pause = 5ms}).pause_limit(), 5ms);
}

TEST(Convergence, GivesUpWhenNothingShrinksAnyMore) {
    Convergence convergence({.max_pause = 20ms});
    std::uint64_t pass = 1;
    MoveVerdict verdict;
    while (verdict.action == Action::go_on && pass < 100)
        verdict = convergence.judge(sample_of(++pass, 50 * kMB, 99));
    EXPECT_EQ(verdict.action, Action::give_up);
    EXPECT_EQ(pass, 10U);
    EXPECT_THAT(verdict.reason, HasSubstr("changes at 200.0 MB/s and moves at 100.0 MB/s"));
    EXPECT_THAT(verdict.reason, HasSubstr("a pause of 500 ms"));
    EXPECT_THAT(verdict.reason, HasSubstr("--on-deadline force"));
}

TEST(Convergence, HasPatienceWhileTheGuestCanBeSlowedDownFurther) {
    Convergence convergence({.max_pause = 20ms});
    for (std::uint64_t pass = 2; pass < 30; ++pass)
        ASSERT_EQ(convergence.judge(sample_of(pass, 50 * kMB, 60)).action, Action::go_on) << pass;
}

TEST(Convergence, PostCopyFollowsTheFirstPassThatLeavesNoLess) {
    Convergence convergence({.max_pause = 100ms, .post_copy = true});
    EXPECT_EQ(convergence.pause_limit(), 100ms) << "there is nothing to gain by a shorter one";
    ASSERT_EQ(convergence.judge(sample_of(1, 8000 * kMB)).action, Action::go_on);
    ASSERT_EQ(convergence.judge(sample_of(2, 800 * kMB)).action, Action::go_on);
    ASSERT_EQ(convergence.judge(sample_of(3, 400 * kMB)).action, Action::go_on) << "it shrinks";
    const MoveVerdict verdict = convergence.judge(sample_of(4, 390 * kMB));
    EXPECT_EQ(verdict.action, Action::post_copy);
    EXPECT_THAT(verdict.reason, HasSubstr("does not converge: memory changes at 200.0 MB/s"));
    EXPECT_TRUE(verdict.note.empty());
    EXPECT_EQ(convergence.judge(sample_of(5, 390 * kMB)).action, Action::go_on) << "said once";
}

TEST(Convergence, PostCopyFollowsTheTimeLimitWhateverWasToHappenThen) {
    Convergence convergence({.deadline = 20s, .on_deadline = OnDeadline::cancel, .post_copy = true});
    MoveSample sample = sample_of(1, 8000 * kMB);
    sample.elapsed = 19s;
    ASSERT_EQ(convergence.judge(sample).action, Action::go_on);
    sample.elapsed = 20s;
    const MoveVerdict verdict = convergence.judge(sample);
    EXPECT_EQ(verdict.action, Action::post_copy) << "in the first pass, too";
    EXPECT_THAT(verdict.reason, HasSubstr("not done within 20 seconds"));
}

TEST(Convergence, GoesOnAsLongAsItShrinks) {
    Convergence convergence({.max_pause = 20ms});
    std::uint64_t remaining = 8000 * kMB;
    for (std::uint64_t pass = 2; pass < 40; ++pass) {
        remaining = remaining / 100 * 85;
        ASSERT_EQ(convergence.judge(sample_of(pass, remaining, 99)).action, Action::go_on) << pass;
    }
}

TEST(Convergence, SeveralSamplesOfOnePassAreOnePass) {
    Convergence convergence({.max_pause = 20ms});
    for (int i = 0; i < 1000; ++i)
        ASSERT_EQ(convergence.judge(sample_of(3, 50 * kMB, 99)).action, Action::go_on);
}

TEST(Convergence, CancelsAtTheDeadline) {
    Convergence convergence({.max_pause = 20ms, .deadline = 5s});
    EXPECT_EQ(convergence.judge(sample_of(4, 50 * kMB)).action, Action::go_on);
    const MoveVerdict verdict = convergence.judge(sample_of(5, 50 * kMB));
    EXPECT_EQ(verdict.action, Action::give_up);
    EXPECT_THAT(verdict.reason, HasSubstr("not done within 5 seconds"));
}

TEST(Convergence, ForcesTheSwitchAtTheDeadlineOnce) {
    Convergence convergence({.max_pause = 20ms, .deadline = 20s, .on_deadline = OnDeadline::force});
    // Without a chance to converge it waits for the deadline all the same.
    for (std::uint64_t pass = 2; pass < 20; ++pass)
        ASSERT_EQ(convergence.judge(sample_of(pass, 50 * kMB, 99)).action, Action::go_on) << pass;
    EXPECT_EQ(convergence.judge(sample_of(20, 50 * kMB, 99)).action, Action::force);
    EXPECT_EQ(convergence.judge(sample_of(21, 50 * kMB, 99)).action, Action::go_on);
}

TEST(Convergence, SaysOnceThatTheGuestIsSlowedDown) {
    Convergence convergence({});
    EXPECT_EQ(convergence.judge(sample_of(2, 50 * kMB)).note, "");
    EXPECT_THAT(convergence.judge(sample_of(3, 50 * kMB, 20)).note, HasSubstr("slowing"));
    EXPECT_EQ(convergence.judge(sample_of(4, 50 * kMB, 30)).note, "");
}

TEST(Convergence, ImpliedPauseSurvivesExtremes) {
    EXPECT_EQ(implied_pause({.remaining = 1}), 1h);
    EXPECT_EQ(implied_pause({.remaining = ~0ULL, .bytes_per_second = 1}), 1h);
    EXPECT_EQ(implied_pause({.remaining = 0, .bytes_per_second = kMB}), 0ms);
    EXPECT_EQ(implied_pause({.remaining = 30 * kMB, .bytes_per_second = 100 * kMB}), 300ms);
}

TEST(TimeLeft, IsOfWhatMovesFasterThanItChanges) {
    EXPECT_EQ(time_left({.remaining = 30 * kMB, .bytes_per_second = 100 * kMB}), 300ms);
    EXPECT_EQ(
        time_left({.remaining = 30 * kMB, .bytes_per_second = 100 * kMB, .dirty_bytes_per_second = 70 * kMB}),
        1000ms);
    EXPECT_EQ(time_left({.remaining = 1, .bytes_per_second = kMB, .dirty_bytes_per_second = kMB}),
              std::nullopt);
    EXPECT_EQ(time_left({.remaining = 1}), std::nullopt);
}

}  // namespace
}  // namespace kz::migrate
