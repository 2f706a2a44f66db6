#include "zone/bandwidth.h"

#include <algorithm>

#include "base/text.h"

namespace kz::zone {
namespace {

constexpr double kMega = 1e6;
constexpr double kMost = 1e15;  // bits per second

double unit_of(char letter) {
    switch (letter) {
        case 'k':
        case 'K':
            return 1e3;
        case 'm':
        case 'M':
            return kMega;
        case 'g':
        case 'G':
            return 1e9;
        default:
            return 0;
    }
}

}  // namespace

std::uint64_t bandwidth_bytes(std::string_view text) {
    if (text.empty()) return 0;
    const double unit = unit_of(text.back());
    if (unit != 0) text.remove_suffix(1);
    const auto number = parse_u64(text);
    if (!number || *number == 0) return 0;
    const double bits = static_cast<double>(*number) * (unit != 0 ? unit : kMega);
    return static_cast<std::uint64_t>(std::max(1.0, std::min(bits, kMost) / 8));
}

}  // namespace kz::zone
