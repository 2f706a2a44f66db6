#include "zone/state.h"

#include <gtest/gtest.h>

#include <array>

namespace kz::zone {
namespace {

constexpr std::array kAll{State::configured, State::incomplete, State::unavailable,  State::installed,
                          State::ready,      State::running,    State::shutting_down};

TEST(State, NamesRoundTrip) {
    for (const State state : kAll)
        EXPECT_EQ(parse_state(state_name(state)), state);
    EXPECT_EQ(state_name(State::shutting_down), "shutting_down");
    EXPECT_EQ(parse_state("down"), std::nullopt);
}

TEST(State, NumbersAreFixed) {
    EXPECT_EQ(static_cast<int>(State::configured), 1);
    EXPECT_EQ(static_cast<int>(State::installed), 4);
    EXPECT_EQ(static_cast<int>(State::shutting_down), 7);
    EXPECT_EQ(static_cast<int>(Aux::suspended), 1);
    EXPECT_EQ(static_cast<int>(Aux::no_config), 6);
    EXPECT_EQ(static_cast<int>(Aux::paused), 8);
}

TEST(State, NoStateLeadsToItself) {
    for (const State state : kAll)
        EXPECT_FALSE(transition_allowed(state, state)) << state_name(state);
}

TEST(State, LifeCycle) {
    EXPECT_TRUE(transition_allowed(State::configured, State::incomplete));
    EXPECT_TRUE(transition_allowed(State::incomplete, State::installed));
    EXPECT_TRUE(transition_allowed(State::installed, State::running));
    EXPECT_TRUE(transition_allowed(State::running, State::shutting_down));
    EXPECT_TRUE(transition_allowed(State::shutting_down, State::installed));
    EXPECT_TRUE(transition_allowed(State::installed, State::configured));
}

TEST(State, ForbiddenShortCuts) {
    EXPECT_FALSE(transition_allowed(State::configured, State::running));
    EXPECT_FALSE(transition_allowed(State::configured, State::ready));
    EXPECT_FALSE(transition_allowed(State::incomplete, State::running));
    EXPECT_FALSE(transition_allowed(State::unavailable, State::running));
    EXPECT_FALSE(transition_allowed(State::installed, State::shutting_down));
    EXPECT_FALSE(transition_allowed(State::running, State::incomplete));
}

TEST(State, EveryStateCanBeLeftAndReached) {
    for (const State state : kAll) {
        bool left = false;
        bool reached = false;
        for (const State other : kAll) {
            left = left || transition_allowed(state, other);
            reached = reached || transition_allowed(other, state);
        }
        EXPECT_TRUE(left && reached) << state_name(state);
    }
}

TEST(AuxSet, TextRoundTrip) {
    AuxSet set{Aux::no_config, Aux::suspended};
    EXPECT_EQ(set.text(), "suspended,no-config");
    EXPECT_EQ(AuxSet::parse("suspended,no-config"), set);
    EXPECT_EQ(AuxSet::parse(""), AuxSet{});
    EXPECT_EQ(AuxSet::parse("suspended,nonsense"), std::nullopt);
    set.erase(Aux::suspended);
    EXPECT_FALSE(set.contains(Aux::suspended));
    EXPECT_EQ(set.size(), 1u);
}

}  // namespace
}  // namespace kz::zone
