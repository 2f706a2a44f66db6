// RequestRate: how many requests a client may make: a burst, then so many a second. For rad/guard.h.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <string>

#include "os/deadline.h"

namespace kz::rad {

// Thread-safe. Remembers at most kClients clients; those that have made no request of late are forgotten.
class RequestRate {
  public:
    using Moment = Deadline::Clock::time_point;
    static constexpr std::size_t kClients = 1024;

    RequestRate(double burst, double per_second) : burst_(burst), per_second_(per_second) {}

    // False when the client has to wait.
    bool take(const std::string& client, Moment now) {
        const std::lock_guard lock(mutex_);
        if (!clients_.contains(client) && clients_.size() >= kClients) forget(now);
        const auto [found, added] = clients_.try_emplace(client, Allowance{burst_, now});
        Allowance& allowance = found->second;
        allowance = {left(allowance, now), now};
        if (allowance.left < 1) return false;
        allowance.left -= 1;
        return true;
    }
    std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return clients_.size();
    }

  private:
    struct Allowance {
        double left;
        Moment counted;
    };
    double left(const Allowance& allowance, Moment now) const {
        const double elapsed = std::chrono::duration<double>(now - allowance.counted).count();
        return std::min(burst_, allowance.left + per_second_ * std::max(0.0, elapsed));
    }
    void forget(Moment now) {
        std::erase_if(clients_, [&](const auto& each) { return left(each.second, now) >= burst_; });
        if (clients_.size() >= kClients) clients_.erase(clients_.begin());
    }

    double burst_;
    double per_second_;
    mutable std::mutex mutex_;
    std::map<std::string, Allowance> clients_;
};

}  // namespace kz::rad
