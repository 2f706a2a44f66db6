// The EFI system partition of a zone's disk: what UEFI firmware starts from it. For the installers.
//
// Its program lies where every firmware looks that has no entry for the disk: a zone's machine keeps no
// variables over its end.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "install/activity.h"
#include "os/paths.h"

namespace kz::install {

// A FAT16 file system of kEspBytes (gpt.h) with the program as /EFI/BOOT/BOOTX64.EFI, without the zeros that
// it ends with; made in `work_dir`. Errors: Errc::not_found names the package that is missing.
Result<Bytes> make_esp(const Path& program, const Path& work_dir, const Activity& activity);

}  // namespace kz::install
