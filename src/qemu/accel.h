// Acceleration: whether a zone runs under KVM or TCG, and why. For the monitor and for verify.
//
// QEMU runs as an unprivileged user, so that the device opens for us (root) means little: its mode decides.
// And a device that works is not enough for "auto": on processors that show neither vmx nor svm (a cloud
// machine with emulated KVM) ordinary kernels hang in it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/paths.h"

namespace kz::qemu {

struct AccelFacts {
    bool device_exists = false;
    // Empty when /dev/kvm answers with API version 12 and creates a machine; else what it says instead.
    std::string device_problem;
    // Whether the user that QEMU runs as may open it: by its own rights, or once `group` is added to its
    // groups.
    bool user_may_open = false;
    std::optional<gid_t> group;
    // vmx or svm among the flags of /proc/cpuinfo.
    bool cpu_virtualization = false;
};

struct AccelChoice {
    std::string accel;           // "kvm" or "tcg"
    std::string reason;          // one clause for the log and for zoneadm: "/dev/kvm does not exist"
    std::optional<gid_t> group;  // a supplementary group that QEMU's user needs for it
};

// Looks at the device and the processor of this host for a QEMU that would run as `uid` in `gid` and
// `groups`.
AccelFacts gather_accel_facts(uid_t uid, gid_t gid, const std::vector<gid_t>& groups,
                              const Path& device = "/dev/kvm", const Path& cpuinfo = "/proc/cpuinfo");

// requested: "auto" (or empty), "kvm", "tcg". auto takes KVM only where it surely works; kvm is taken at the
// administrator's word without vmx or svm, and is Errc::unsupported where the device is of no use.
Result<AccelChoice> choose_accel(std::string_view requested, const AccelFacts& facts);

}  // namespace kz::qemu
