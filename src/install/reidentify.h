// Making a copy of a zone's disk another zone's. For the command that clones zones.
//
// Theory of operation
//
// Systems of our own builders have an ext4 root called "root" in their GPT: its files are exchanged by
// debugfs, after e2fsck has put in order what a zone that was powered off has left. Systems from archives
// have the seed of cloud-init in a partition called "cidata": they get another seed, with kz-agent when the
// old one had it, and cloud-init does the rest at their next boot. Nothing is mounted, and nothing of the
// disk runs.
//
// New are: host name, network, ssh host keys, the key of the package ssl-cert, machine id, and what the
// random number generator begins with; time zone, keyboard and locale where the profile says them. Accounts
// and everything else stay those of the source.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "install/request.h"

namespace kz::install {

// The request's `disk` is a raw file of `usable_bytes` with the copy; zone_name, profile, network, work_dir
// are the new zone's. Errors: Errc::unsupported for a disk of which neither is true, and for a profile that
// asks for what cannot be changed in it; Errc::no_space for a partition beyond the end.
Result<void> reidentify(const InstallRequest& request, const std::string& instance_id,
                        const std::vector<std::string>& hardware_addresses);

}  // namespace kz::install
