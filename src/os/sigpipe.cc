#include "os/sigpipe.h"

#include <cerrno>
#include <ctime>

namespace kz {

SigpipeBlock::SigpipeBlock() {
    ::sigemptyset(&sigpipe_);
    ::sigaddset(&sigpipe_, SIGPIPE);
    sigset_t pending{};
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &previous_);
}

SigpipeBlock::~SigpipeBlock() {
    const int saved_errno = errno;
    const timespec at_once{};
    while (!was_pending_ && (::sigtimedwait(&sigpipe_, nullptr, &at_once) == SIGPIPE || errno == EINTR)) {
    }
    ::pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
    errno = saved_errno;
}

}  // namespace kz
