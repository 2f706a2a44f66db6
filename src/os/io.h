// Reading and writing descriptors with a deadline and a way to be cancelled. For every floor that does I/O.
//
// All functions work with blocking and non-blocking descriptors alike: they poll first. `cancel_fd` is a
// descriptor that becomes readable when the caller should give up (an EventFd); -1 when there is none.
// Errors: Errc::timeout, Errc::cancelled, Errc::unavailable (the other end closed), else from errno.
#pragma once

#include "base/bytes.h"
#include "base/fd.h"
#include "os/deadline.h"

namespace kz {

// An eventfd: signal() makes fd() readable for ever (until reset()).
class EventFd {
  public:
    static Result<EventFd> create();
    int fd() const { return fd_.get(); }
    void signal() const;
    void reset() const;

  private:
    explicit EventFd(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

Result<void> wait_readable(int fd, Deadline deadline, int cancel_fd = -1);
Result<void> wait_writable(int fd, Deadline deadline, int cancel_fd = -1);

// One read(2) after waiting; 0 is the end of the stream.
Result<std::size_t> read_some(int fd, MutableBytes buffer, Deadline deadline, int cancel_fd = -1);
Result<void> read_exact(int fd, MutableBytes buffer, Deadline deadline, int cancel_fd = -1);
// A reader that has gone is Errc::unavailable, never SIGPIPE.
Result<void> write_all(int fd, ByteView bytes, Deadline deadline, int cancel_fd = -1);
// All of it, at that place of a file or a block device.
Result<void> write_at(int fd, ByteView bytes, std::uint64_t offset);
// As write(2), on a socket or anything else, but never raises SIGPIPE.
ssize_t write_without_signal(int fd, ByteView bytes);

Result<void> set_nonblocking(int fd, bool on);
// Sets or clears close-on-exec (for descriptors that a child shall inherit).
Result<void> set_cloexec(int fd, bool on);

}  // namespace kz
