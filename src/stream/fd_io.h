// Reading and writing large pieces for pumps. Private to src/stream.
#pragma once

#include "stream/pump.h"
#include "stream/tcp_peer.h"

namespace kz::stream {

// The descriptor stays the caller's and must outlive this object.
class FdInput {
  public:
    static Result<FdInput> create(int fd, const PumpRules& rules);
    // Waits, then takes all that is there up to the size of `out`; 0 is the end of the stream. `watch_fd`,
    // unless -1, is a socket whose breaking ends the wait with Errc::unavailable.
    Result<std::size_t> read(MutableBytes out, int watch_fd = -1);

    // How many bytes the next read() has no use without; they must be known to come. TCP then wakes the pump
    // once for all of them. Less may be read all the same.
    void want(std::size_t bytes);

  private:
    FdInput(int fd, const PumpRules& rules) : fd_(fd), rules_(rules) {}
    int fd_;
    PumpRules rules_;
    int low_water_ = 1;
};

class FdOutput {
  public:
    static Result<FdOutput> create(int fd, const PumpRules& rules);
    // Waits for the limiter of the rules first, if there is one, and for room whenever there is none.
    Result<void> write(ByteView bytes);

    // How long write() has waited so far: for the link or the limiter, and for a peer that does not read.
    // Only TCP tells the two apart; elsewhere all is the link's.
    struct Waits {
        std::chrono::nanoseconds link{};
        std::chrono::nanoseconds peer{};
    };
    const Waits& waits() const { return waits_; }

  private:
    FdOutput(int fd, const PumpRules& rules, bool is_socket)
        : fd_(fd), rules_(rules), is_socket_(is_socket), peer_(fd) {}
    Result<void> wait_for_room();

    int fd_;
    PumpRules rules_;
    bool is_socket_;
    Waits waits_;
    unsigned writes_ = 0;
    TcpPeer peer_;
};

}  // namespace kz::stream
