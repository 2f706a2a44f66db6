// Whether a MachineSpec holds together, before a command line is made of it; and what is added to a machine
// that runs. Inside qemu only.
#pragma once

#include "qemu/machine.h"

namespace kz::qemu {

// Errc::invalid_argument for what the spec contradicts, Errc::unsupported for what this QEMU has not.
Result<void> check_machine(const MachineSpec& spec, const QemuInfo& qemu);
Result<void> check_nic(const NicSpec& nic);

}  // namespace kz::qemu
