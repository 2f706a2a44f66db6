#include "cli/rate.h"

#include "base/text.h"

namespace kz::cli {
namespace {

constexpr std::uint64_t kLeast = 1024;
constexpr std::uint64_t kMost = 1ULL << 50U;
constexpr std::string_view kBit = "bit";

std::unexpected<Error> not_a_rate(std::string_view text) {
    return fail(Errc::invalid_argument,
                "'{}' is not a rate: bytes a second such as 50M or 1G, or bits such as 500Mbit", text);
}

// "1", "100K", "1G": decimal units, as in bit/s.
std::optional<std::uint64_t> parse_decimal(std::string_view text) {
    std::uint64_t unit = 1;
    for (const auto& [letter, factor] :
         {std::pair{'k', 1'000ULL}, {'m', 1'000'000ULL}, {'g', 1'000'000'000ULL}}) {
        if (text.empty() || (text.back() | 0x20) != letter) continue;
        unit = factor;
        text.remove_suffix(1);
        break;
    }
    const auto number = parse_u64(text);
    if (!number || *number > kMost / unit) return std::nullopt;
    return *number * unit;
}

}  // namespace

Result<std::uint64_t> parse_rate(std::string_view text) {
    std::uint64_t bytes = 0;
    if (to_lower(text).ends_with(kBit)) {
        const auto bits = parse_decimal(text.substr(0, text.size() - kBit.size()));
        if (!bits) return not_a_rate(text);
        bytes = *bits / 8;
    } else {
        const auto size = parse_size(text);
        if (!size) return not_a_rate(text);
        bytes = *size;
    }
    if (bytes < kLeast || bytes > kMost)
        return fail(Errc::invalid_argument, "'{}' is not a rate between 1K and 1024T bytes a second", text);
    return bytes;
}

}  // namespace kz::cli
