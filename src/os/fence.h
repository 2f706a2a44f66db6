// Fencing: ending a process so that nothing which it wrote to a socket can still leave this host. For the
// monitor and its guard, when storage may belong to another host already.
//
// A killed process' sockets live on in the kernel until their buffers have been sent: over a cable that is
// mended a minute later, the last writes of a dead machine would reach a disk that is somebody else's. So the
// sockets are duplicated (pidfd_getfd), set to be reset on close, and closed by us after the process has
// ended: the kernel then drops what they held.
#pragma once

#include "os/process.h"

namespace kz {

// SIGKILL, waits for the end, resets its TCP connections. Safe when it has already ended. A process that the
// kernel cannot end yet (it waits for a local disk) is waited for.
void fence_process(Process& process);

}  // namespace kz
