#include "cli/interrupts.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

namespace kz::cli {
namespace {

bool readable(int fd) {
    pollfd polled{fd, POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
}

class InterruptsTest : public testing::TestWithParam<int> {};

TEST_P(InterruptsTest, ASignalIsADescriptorThatStaysReadable) {
    {
        const Interrupts interrupts;
        EXPECT_FALSE(readable(interrupts.fd()));
        ASSERT_EQ(::raise(GetParam()), 0);
        EXPECT_TRUE(readable(interrupts.fd()));
        EXPECT_TRUE(readable(interrupts.fd()));
        ASSERT_EQ(::raise(GetParam()), 0);
    }
    // What was asked for is answered: unblocking the signals did not end us, and the next object begins anew.
    const Interrupts later;
    EXPECT_FALSE(readable(later.fd()));
}

INSTANTIATE_TEST_SUITE_P(Signals, InterruptsTest, testing::Values(SIGINT, SIGTERM, SIGHUP));

TEST(InterruptsTest, AfterwardsTheSignalEndsTheProcess) {
    EXPECT_EXIT(
        {
            {
                const Interrupts interrupts;
            }
            ::raise(SIGINT);
        },
        testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace kz::cli
