// GRUB, put into a zone's disk without mounting it: for BIOS in sectors of its own, for UEFI as the one
// program that every such firmware starts from a disk. Both read one configuration. For the installers.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "os/paths.h"

namespace kz::install {

// Puts boot.img's code into sector 0 of `disk_start` (its partition table stays) and makes it load the sector
// `core_sector`. Errors: Errc::corrupt when boot.img is not one sector, Errc::invalid_argument when
// disk_start is less.
Result<void> embed_boot_image(MutableBytes disk_start, ByteView boot_image, std::uint64_t core_sector);

// Makes core.img load its own rest from the sectors after `core_sector`, where it will lie in one piece.
// Errors: Errc::corrupt when it is no core.img, Errc::no_space when it has more than `room` bytes.
Result<void> patch_core_image(Bytes& core_image, std::uint64_t core_sector, std::uint64_t room);

// core and efi read /boot/grub/grub.cfg of the file system with the given UUID.
struct GrubImages {
    Bytes boot;
    Bytes core;
    Path efi;  // a file in the work_dir
};
// Runs grub-mkimage in `work_dir`. Errors name the package that is missing.
Result<GrubImages> make_grub_images(std::string_view root_uuid, const Path& work_dir, int cancel_fd);

// The configuration that starts `kernel` with `initrd` at once, messages on the serial line.
std::string make_grub_config(std::string_view root_uuid, std::string_view kernel_arguments,
                             std::string_view kernel = "/boot/vmlinuz",
                             std::string_view initrd = "/boot/initrd.img");

}  // namespace kz::install
