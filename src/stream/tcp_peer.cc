#include "stream/tcp_peer.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>

namespace kz::stream {
namespace {

// Half of what a peer with our usual buffers offers while it keeps up.
constexpr std::uint32_t kWide = 2 * 1024 * 1024;
// The kernel counts in ticks, so what it adds during one wait may belong to the one before; older than this
// it says nothing of the present.
constexpr std::chrono::milliseconds kLongestClaim{20};

}  // namespace

void TcpPeer::look() {
    ask();
    unclaimed_ = std::min<std::chrono::nanoseconds>(unclaimed_, kLongestClaim);
}

void TcpPeer::ask() {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return;
    // An older kernel knows less.
    if (size < offsetof(tcp_info, tcpi_snd_wnd) + sizeof info.tcpi_snd_wnd) return;
    window_ = info.tcpi_snd_wnd;
    widest_ = std::max(widest_, window_);
    const std::chrono::microseconds limited(info.tcpi_rwnd_limited);
    unclaimed_ += limited - window_limited_;
    window_limited_ = limited;
}

std::chrono::nanoseconds TcpPeer::lag_in(std::chrono::nanoseconds waited) {
    const std::uint32_t before = window_;
    ask();
    const std::uint32_t narrowest = std::min(before, window_);
    if (narrowest < widest_ / 2) return waited;
    if (narrowest >= kWide) return {};
    const auto lag = std::min(unclaimed_, waited);
    unclaimed_ -= lag;
    return lag;
}

}  // namespace kz::stream
