// The EFI system partition of a zone's disk: what UEFI firmware starts from it. For the installers.
//
// The programs lie in /EFI/BOOT, where every firmware looks that has no entry for the disk: a zone's machine
// keeps no variables over its end.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "install/activity.h"
#include "os/paths.h"

namespace kz::install {

struct EspFile {
    std::string name;  // "BOOTX64.EFI"
    Path source;
};

// A FAT16 file system of kEspBytes (gpt.h), without the zeros that it ends with; made in `work_dir`. Errors:
// Errc::not_found names the package that is missing.
Result<Bytes> make_esp(const std::vector<EspFile>& files, const Path& work_dir, const Activity& activity);

}  // namespace kz::install
