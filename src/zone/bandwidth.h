// Bandwidths as configurations have them (maxbw). For who applies them.
#pragma once

#include <cstdint>
#include <string_view>

namespace kz::zone {

// Bytes per second of "100" (megabits per second), "64K", "100M", "10G" (bits per second, with thousands); as
// much as fits for more than that. 0 for nothing, and for what the schema does not let in.
std::uint64_t bandwidth_bytes(std::string_view text);

}  // namespace kz::zone
