// Relay: stands between a source QEMU and its target as the monitor's pump does. When the target is gone it
// goes on reading what the source sends, and drops it.
#pragma once

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "os/io.h"
#include "os/socket.h"

namespace kz::qemu {

class Relay {
  public:
    // Takes connections on `from` and makes as many to `to`.
    Relay(const Path& from, Path to);
    ~Relay();
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    std::size_t connections() const { return connections_; }

  private:
    void accept_all();
    void pump(const UniqueFd& from, const UniqueFd& to) const;

    Path to_;
    UniqueFd listener_;
    EventFd stop_;
    std::atomic<std::size_t> connections_ = 0;
    std::vector<std::jthread> pumps_;
    std::jthread acceptor_;
};

}  // namespace kz::qemu
