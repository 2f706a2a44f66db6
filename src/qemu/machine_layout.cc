#include "qemu/machine_layout.h"

#include <fmt/format.h>

#include <string_view>

#include "base/text.h"

namespace kz::qemu {
namespace {
constexpr std::string_view kPrefix = "machine layout ";
constexpr std::uint64_t kMost = 1000;
}  // namespace

std::string layout_device(unsigned layout) {
    return layout <= 1 ? std::string() : fmt::format("{}{}", kPrefix, layout);
}

unsigned layout_among(const std::vector<std::string>& devices) {
    for (const std::string& device : devices) {
        if (!device.starts_with(kPrefix)) continue;
        const auto layout = parse_u64(std::string_view(device).substr(kPrefix.size()));
        if (layout && *layout > 1 && *layout <= kMost) return static_cast<unsigned>(*layout);
    }
    return 1;
}

}  // namespace kz::qemu
