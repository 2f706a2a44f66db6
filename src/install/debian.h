// The Debian builder: a zone's disk with a whole Debian of its own: kernel, systemd, ssh, and whatever the
// manifest adds. For the command that installs zones.
//
// Theory of operation
//
// What all zones of a manifest have in common, the base, is made by mmdebstrap and kept (base_cache.h): its
// key is the digest of the manifest, the release and what apt knows of the archive. What makes a zone is put
// on top of an unpacked copy (debian_identity.h); then mke2fs makes the root file system of it (root_disk.h).
// Needs root; nothing is mounted where the host sees it.
//
// GRUB loads what the links /vmlinuz and /initrd.img of the root file system point to. Debian's kernel
// packages keep these (kernel-img.conf), so a kernel that is installed inside the zone is what runs next.
#pragma once

#include "base/result.h"
#include "install/request.h"

namespace kz::install {

// Errors: those of check_request(); Errc::not_found (a program of the host is missing: the message names the
// package), Errc::io (mmdebstrap failed: the message says why), Errc::no_space, Errc::cancelled. After an
// error the disk does not boot; the cache is whole.
Result<InstallReport> install_debian(const InstallRequest& request);

}  // namespace kz::install
