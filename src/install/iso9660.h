// A read-only file system with a few files, for a guest to read once. For the seed of cloud-init.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace kz::install {

struct IsoFile {
    std::string name;  // lower-case letters, digits, '-' and '_'; at most 27
    std::string content;
};

// The image, a multiple of 2048 bytes. The files lie in its root folder. Errors: Errc::invalid_argument for a
// name or a label (at most 32 characters) that cannot be had, or too many files for one sector of a folder.
Result<Bytes> make_iso9660(std::string_view label, const std::vector<IsoFile>& files);

// Whether an image that make_iso9660() has made, and that others may have changed since, has a file of this
// name.
bool iso9660_has(ByteView image, const std::string& name);

}  // namespace kz::install
