// Hotplug: devices, processors and memory of a machine that runs. For the monitor.
//
// What is added sits where the command line would have put it (qemu/devices.h), so that a machine that is
// started with the same spec elsewhere can take over its state. A device leaves only when the guest gives it
// up, and a guest may take its time or never do it. What fails leaves QEMU as it was.
#pragma once

#include "base/secret.h"
#include "qemu/machine.h"
#include "qemu/qmp.h"

namespace kz::qemu {

// `fd`: of a local disk, -1 for others; it stays the caller's. `chap_password`: of an iSCSI disk with a
// login. The spec's own descriptors are not looked at. Errors: QEMU's, such as that another process has the
// disk.
Result<void> plug_disk(Qmp& qmp, const DiskSpec& disk, int fd, const Secret* chap_password);
// `tap_fd` -1: QEMU's user-mode network.
Result<void> plug_nic(Qmp& qmp, const NicSpec& nic, int tap_fd);

// Asks the guest and waits until it has given the device up. Errors: Errc::timeout (it may still do so later:
// left_device()), Errc::cancelled, Errc::not_found when there is no such device.
Result<void> unplug_disk(Qmp& qmp, unsigned index, Deadline deadline, int cancel_fd);
Result<void> unplug_nic(Qmp& qmp, unsigned index, Deadline deadline, int cancel_fd);

// Of the event DEVICE_DELETED.
struct LeftDevice {
    enum class Kind { disk = 1, nic, other };  // other: a processor
    Kind kind;
    unsigned index = 0;
};
std::optional<LeftDevice> left_device(const QmpEvent& event);
// What is left in QEMU of a disk or nic that the guest has given up.
Result<void> clean_up(Qmp& qmp, const LeftDevice& left);

// Processors that there are now. The machine has room for max_cpus of its spec.
Result<unsigned> count_cpus(Qmp& qmp);
// One more or, when the guest gives it up, one fewer: always the last. Errors: as of the devices.
Result<void> plug_cpu(Qmp& qmp);
Result<void> unplug_cpu(Qmp& qmp, Deadline deadline, int cancel_fd);

// Bytes that the guest has now, of machine_ram_bytes() at most.
Result<std::uint64_t> balloon_size(Qmp& qmp);
// Asks the guest to have that many and waits as long as it comes nearer. Returns what it has in the end; the
// rest is not asked for any more. Errors: Errc::cancelled.
Result<std::uint64_t> resize_balloon(Qmp& qmp, std::uint64_t bytes, int cancel_fd);

}  // namespace kz::qemu
