// Firmware: what a machine starts with. For the monitor, and for what is found out before a zone boots or
// moves.
//
// BIOS is QEMU's own and the same for all. UEFI is OVMF, in one file of code and variables: what a guest
// stores in variables lasts until its machine ends, so that it must boot from the path which every firmware
// knows (\EFI\BOOT\BOOTX64.EFI). The file's content is part of the machine's memory and moves along; only its
// size must be the same on both hosts.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "os/paths.h"

namespace kz::qemu {

struct Firmware {
    Path file;
    std::uint64_t bytes = 0;
};

// The UEFI firmware of this host. Errors: Errc::not_found names the package to install; Errc::unsupported for
// a file that QEMU would not take.
Result<Firmware> find_uefi_firmware();

// For a machine of a configuration with that firmware, and of a shape with that MachineShape::firmware_bytes.
// Empty: QEMU's own. Errors: those of find_uefi_firmware(), Errc::unsupported where the machine has been
// started with another.
Result<Path> firmware_of(bool uefi, std::uint64_t firmware_bytes);

}  // namespace kz::qemu
