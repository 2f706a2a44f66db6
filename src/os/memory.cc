#include "os/memory.h"

#include <unistd.h>

#include <optional>

#include "base/text.h"
#include "os/file.h"

namespace kz {
namespace {

constexpr std::size_t kMaxProcFile = 64 * 1024;

// "MemTotal:       16316412 kB"
std::optional<std::uint64_t> meminfo_value(const std::string& line, std::string_view key) {
    if (!line.starts_with(key)) return std::nullopt;
    const std::string_view number = trim(std::string_view(line).substr(key.size()));
    const auto kib = parse_u64(number.substr(0, number.find(' ')));
    if (!kib || *kib > UINT64_MAX / 1024) return std::nullopt;
    return *kib * 1024;
}

}  // namespace

Result<HostMemory> parse_meminfo(std::string_view text) {
    std::optional<std::uint64_t> total;
    std::optional<std::uint64_t> available;
    for (const std::string& line : split(text, '\n')) {
        if (const auto value = meminfo_value(line, "MemTotal:")) total = value;
        if (const auto value = meminfo_value(line, "MemAvailable:")) available = value;
    }
    if (!total || !available)
        return fail(Errc::corrupt, "/proc/meminfo does not tell how much memory there is");
    return HostMemory{*total, *available};
}

Result<HostMemory> host_memory() {
    KZ_TRY(const std::string text, read_file("/proc/meminfo", kMaxProcFile));
    return parse_meminfo(text);
}

Result<std::uint64_t> resident_bytes(pid_t pid) {
    const Path file = fmt::format("/proc/{}/statm", pid);
    KZ_TRY(const std::string text, read_file(file, kMaxProcFile));
    const std::vector<std::string> fields = split(text, ' ');
    const auto pages = fields.size() > 1 ? parse_u64(fields[1]) : std::nullopt;
    if (!pages) return fail(Errc::corrupt, "{} is not understood", file.string());
    return *pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace kz
