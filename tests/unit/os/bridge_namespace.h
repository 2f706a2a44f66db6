// A network of its own for a test, with a bridge. For the tests of taps.
#pragma once

#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <functional>
#include <string>
#include <thread>

#include "base/fd.h"

namespace kz {

// Runs `body` on a thread with a network namespace of its own, in which there is an empty bridge of that
// name.
inline void with_bridge(const std::string& name, const std::function<void()>& body) {
    std::thread([&] {
        if (::unshare(CLONE_NEWNET) < 0) GTEST_SKIP() << "needs the right to make a network namespace";
        const UniqueFd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(::ioctl(control.get(), SIOCBRADDBR, name.c_str()), 0);
        ifreq request{};
        name.copy(request.ifr_name, sizeof request.ifr_name - 1);
        request.ifr_flags = IFF_UP;
        ASSERT_EQ(::ioctl(control.get(), SIOCSIFFLAGS, &request), 0);
        body();
    }).join();
}

}  // namespace kz
