// The part of contents.h that runs apart. Internal to storage.
#pragma once

#include <cstdint>
#include <string>

namespace kz::storage {

// What libblkid finds in the `bytes` of `fd`; empty when nothing. Throws what the standard library throws.
std::string probe_formats(int fd, std::uint64_t bytes);

}  // namespace kz::storage
