// Uuids as text and as the 16 bytes that are in an image. Private to src/image.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace kz::image {

using UuidBytes = std::array<Byte, 16>;

// "01234567-89ab-cdef-0123-456789abcdef", either case; anything else is Errc::invalid_argument.
Result<UuidBytes> parse_uuid(std::string_view text);
std::string render_uuid(const UuidBytes& bytes);

}  // namespace kz::image
