// Rates as they are typed and shown. For src/cli.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kz::cli {

// Bytes a second: "50M" and "1.5G" in units of 1024, or what network people say, "100Mbit" and "1Gbit", in
// units of 1000 bits. At least 1 KiB a second. Errors: Errc::invalid_argument.
Result<std::uint64_t> parse_rate(std::string_view text);

}  // namespace kz::cli
