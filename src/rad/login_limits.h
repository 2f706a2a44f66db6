// LoginLimits: how often passwords may be tried. For rad/guard.h.
//
// Theory of operation. Each attempt counts as failed until it is told to have succeeded. An address (of
// IPv6 the first 64 bits) may mistype kFree - 1 times as fast as it likes; after n >= kFree failures it waits
// 2^(n-1) seconds, at most five minutes, for its next attempt. It has one attempt at a time. In all there are
// at most kAtOnce attempts at a time, and after a burst of kBurst failures one each two seconds, so that many
// addresses together guess no faster. An attempt that comes too early costs no check and does not lengthen
// the wait. At most kAddresses addresses are remembered; the one that may try again soonest is forgotten
// first.
//
// Only passwords are limited: clients with keys never come here.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "base/result.h"
#include "os/deadline.h"

namespace kz::rad {

// Thread-safe.
class LoginLimits {
  public:
    using Moment = Deadline::Clock::time_point;
    static constexpr std::size_t kAddresses = 1024;
    static constexpr unsigned kAtOnce = 4;
    static constexpr unsigned kFree = 3;
    static constexpr double kBurst = 16;

    // Errors: Errc::busy, with the seconds to wait. Otherwise end() must follow.
    Result<void> begin(const std::string& address, Moment now);
    void end(const std::string& address, bool success, Moment now);

    // How many addresses are remembered.
    std::size_t size() const;

  private:
    struct Address {
        unsigned failures = 0;
        bool busy = false;
        Moment next;
    };
    void forget_one();
    void refill(Moment now);

    mutable std::mutex mutex_;
    std::map<std::string, Address> addresses_;
    unsigned under_way_ = 0;
    double allowance_ = kBurst;
    Moment counted_{};
};

}  // namespace kz::rad
