// Text: splitting, trimming, numbers and sizes with units. For every floor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kz {

std::string_view trim(std::string_view text);
// Splits at each separator; keeps empty parts ("a,,b" has three).
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string to_lower(std::string_view text);

// Decimal digits only, no sign, no blanks, no overflow; else nothing.
std::optional<std::uint64_t> parse_u64(std::string_view text);
// Hexadecimal digits, with or without 0x.
std::optional<std::uint64_t> parse_hex_u64(std::string_view text);

// "512", "64k", "4G", "1.5T": bytes, units of 1024, either case. Errors: Errc::invalid_argument.
Result<std::uint64_t> parse_size(std::string_view text);
// The shortest exact form: 4294967296 is "4G", 1536 is "1536" (no unit would be exact in whole numbers but K:
// "1.5K" is never made).
std::string render_size(std::uint64_t bytes);

}  // namespace kz
