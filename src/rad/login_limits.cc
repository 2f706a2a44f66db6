#include "rad/login_limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "base/bytes.h"

namespace kz::rad {
namespace {

constexpr std::chrono::seconds kLongestWait{300};
constexpr double kRefillPerSecond = 0.5;

// Whoever has one address of an IPv6 network has all of its /64.
std::string key_of(const std::string& address) {
    in6_addr parsed{};
    if (::inet_pton(AF_INET6, address.c_str(), &parsed) != 1) return address;
    return to_hex(ByteView(parsed.s6_addr, 8));
}

std::chrono::seconds wait_after(unsigned failures) {
    constexpr unsigned kMaxShift = 9;
    if (failures < LoginLimits::kFree) return std::chrono::seconds(0);
    return std::min(kLongestWait, std::chrono::seconds(1U << std::min(failures - 1, kMaxShift)));
}

std::unexpected<Error> too_many(std::chrono::seconds wait) {
    return fail(Errc::busy, "too many attempts to log in; try again in {} s",
                std::max<long>(1, wait.count()));
}

}  // namespace

void LoginLimits::refill(Moment now) {
    const double elapsed = std::chrono::duration<double>(now - counted_).count();
    allowance_ = std::min(kBurst, allowance_ + kRefillPerSecond * std::max(0.0, elapsed));
    counted_ = now;
}

Result<void> LoginLimits::begin(const std::string& address, Moment now) {
    const std::lock_guard lock(mutex_);
    refill(now);
    const std::string key = key_of(address);
    if (const auto found = addresses_.find(key); found != addresses_.end()) {
        if (found->second.busy) return too_many(std::chrono::seconds(1));
        if (now < found->second.next)
            return too_many(std::chrono::ceil<std::chrono::seconds>(found->second.next - now));
    }
    if (under_way_ >= kAtOnce || allowance_ < 1) return too_many(std::chrono::seconds(2));
    if (!addresses_.contains(key) && addresses_.size() >= kAddresses) forget_one();
    Address& entry = addresses_[key];
    entry.busy = true;
    ++entry.failures;
    ++under_way_;
    allowance_ -= 1;
    return {};
}

void LoginLimits::end(const std::string& address, bool success, Moment now) {
    const std::lock_guard lock(mutex_);
    --under_way_;
    const auto found = addresses_.find(key_of(address));
    if (success) {
        addresses_.erase(found);
        allowance_ = std::min(kBurst, allowance_ + 1);
        return;
    }
    found->second.busy = false;
    found->second.next = now + wait_after(found->second.failures);
}

// Those with an attempt under way stay: end() asks for them, and they are at most kAtOnce.
void LoginLimits::forget_one() {
    const auto soonest = std::ranges::min_element(
        addresses_, {}, [](const auto& each) { return std::pair(each.second.busy, each.second.next); });
    addresses_.erase(soonest);
}

std::size_t LoginLimits::size() const {
    const std::lock_guard lock(mutex_);
    return addresses_.size();
}

}  // namespace kz::rad
