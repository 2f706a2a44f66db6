#include "monitor/grace.h"

#include <gtest/gtest.h>

namespace kz::monitor {
namespace {

using namespace std::chrono_literals;

bool readable(const Grace& grace, std::chrono::milliseconds patience) {
    return wait_readable(grace.fd(), Deadline::after(patience)).has_value();
}

TEST(Grace, IsOverSomeTimeAfterTheUserHasGivenUp) {
    const EventFd given_up = EventFd::create().value();
    const auto grace = Grace::begin(given_up.fd(), 50ms).value();
    EXPECT_FALSE(readable(*grace, 100ms)) << "nobody has given up";
    const auto start = std::chrono::steady_clock::now();
    given_up.signal();
    EXPECT_TRUE(readable(*grace, 20s));
    EXPECT_GE(std::chrono::steady_clock::now() - start, 50ms);
}

TEST(Grace, EndsAtOnceWhateverItWaitsFor) {
    const EventFd given_up = EventFd::create().value();
    const auto start = std::chrono::steady_clock::now();
    {
        const auto waiting = Grace::begin(given_up.fd(), 1h).value();
    }
    given_up.signal();
    {
        const auto running = Grace::begin(given_up.fd(), 1h).value();
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, 60s);
}

}  // namespace
}  // namespace kz::monitor
