// SigpipeBlock: for calls into libraries that write to sockets without MSG_NOSIGNAL. For every floor.
#pragma once

#include <csignal>

namespace kz {

// While it lives, this thread gets no SIGPIPE; one that came meanwhile is forgotten.
class SigpipeBlock {
  public:
    SigpipeBlock();
    SigpipeBlock(const SigpipeBlock&) = delete;
    SigpipeBlock& operator=(const SigpipeBlock&) = delete;
    ~SigpipeBlock();

  private:
    sigset_t sigpipe_{};
    sigset_t previous_{};
    bool was_pending_ = false;
};

}  // namespace kz
