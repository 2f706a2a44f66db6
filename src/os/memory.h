// Memory of this host and of its processes, as the kernel tells it. For every floor.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace kz {

// Bytes.
struct HostMemory {
    std::uint64_t total = 0;
    // What a new process could have without anything being swapped out: free memory and caches that can go.
    std::uint64_t available = 0;
};
Result<HostMemory> host_memory();
// Of the text of /proc/meminfo. Errors: Errc::corrupt.
Result<HostMemory> parse_meminfo(std::string_view text);

// How much of its memory the process has touched and is in RAM. Errors: Errc::not_found when it is gone.
Result<std::uint64_t> resident_bytes(pid_t pid);

}  // namespace kz
