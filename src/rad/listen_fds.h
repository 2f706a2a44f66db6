// The sockets that systemd listens on for us (kz-radd.socket). For rad/radd.cc.
//
// Theory of operation (sd_listen_fds(3)): LISTEN_PID is our process, LISTEN_FDS says how many descriptors
// there are from 3 on. Which is which is told by their family, so the order in the unit does not matter.
#pragma once

#include "base/fd.h"
#include "base/result.h"

namespace kz::rad {

struct ListenFds {
    UniqueFd tcp;    // empty when there is none
    UniqueFd local;  // a unix socket
};

// Takes them, once: the variables are removed from the environment, so that no child mistakes them for its
// own. Errors: Errc::invalid_argument for what is not a listening stream socket, or two of a kind.
Result<ListenFds> take_listen_fds();

}  // namespace kz::rad
