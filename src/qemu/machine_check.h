// Whether a MachineSpec holds together, before a command line is made of it. Inside qemu only.
#pragma once

#include "qemu/machine.h"

namespace kz::qemu {

// Errc::invalid_argument for what the spec contradicts, Errc::unsupported for what this QEMU has not.
Result<void> check_machine(const MachineSpec& spec, const QemuInfo& qemu);

}  // namespace kz::qemu
