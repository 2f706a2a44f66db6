// The mini builder: a zone's disk with Debian's cloud kernel and a busybox userland, which boots by itself in
// seconds. For the command that installs zones. Nothing is mounted and nothing runs in the new tree; it needs
// root only so that the files in the zone belong to root.
#pragma once

#include "base/result.h"
#include "install/request.h"

namespace kz::install {

// Errors: Errc::invalid_argument (request), Errc::not_found (a program of the host is missing: the message
// names the package), Errc::no_space, Errc::cancelled, Errc::io... After an error the disk does not boot; the
// cache is whole.
Result<InstallReport> install_mini(const InstallRequest& request);

}  // namespace kz::install
