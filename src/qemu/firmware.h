// Firmware: what a machine starts with. For the monitor, and for what is found out before a zone boots or
// moves.
//
// BIOS is QEMU's own and the same for all. UEFI is OVMF: an image of 4 MiB, in which an empty store of
// variables lies before the code. What a guest puts into variables lasts until its machine ends, so that it
// must boot from the path which every firmware knows (\EFI\BOOT\BOOTX64.EFI). The image's content is part of
// the machine's memory and moves along; only its size must be the same on both hosts. (Distributions ship the
// two parts, and also images of other sizes, which differ between Debian's releases.)
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "os/paths.h"

namespace kz::qemu {

struct UefiFirmware {
    Path variables;
    Path code;
    std::uint64_t bytes = 0;  // of both
};

// That of this host. Errors: Errc::not_found names the package to install; Errc::unsupported for files that
// QEMU would not take.
Result<UefiFirmware> find_uefi_firmware();
// The image.
Result<Bytes> read_firmware(const UefiFirmware& firmware);

// For a machine of a configuration with that firmware, and of a shape with that MachineShape::firmware_bytes.
// Nothing: QEMU's own. Errors: those of find_uefi_firmware(), Errc::unsupported where the machine has been
// started with another.
Result<std::optional<UefiFirmware>> firmware_of(bool uefi, std::uint64_t firmware_bytes);

}  // namespace kz::qemu
