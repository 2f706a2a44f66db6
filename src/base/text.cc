#include "base/text.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

namespace kz {

std::string_view trim(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    const auto first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    std::size_t start = 0;
    for (std::size_t end = text.find(separator); end != std::string_view::npos;
         end = text.find(separator, start)) {
        parts.emplace_back(text.substr(start, end - start));
        start = end + 1;
    }
    parts.emplace_back(text.substr(start));
    return parts;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
    std::string text;
    for (const std::string& part : parts) {
        if (&part != &parts.front()) text += separator;
        text += part;
    }
    return text;
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return lower;
}

namespace {

std::optional<std::uint64_t> parse_unsigned(std::string_view text, int base) {
    std::uint64_t value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || status != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

std::optional<std::uint64_t> parse_u64(std::string_view text) {
    return parse_unsigned(text, 10);
}

std::optional<std::uint64_t> parse_hex_u64(std::string_view text) {
    if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
    return parse_unsigned(text, 16);
}

Result<std::uint64_t> parse_size(std::string_view text) {
    constexpr std::string_view kUnits = "kmgtp";
    std::string_view number = text;
    int shift = 0;
    if (!number.empty()) {
        const char last = static_cast<char>(std::tolower(static_cast<unsigned char>(number.back())));
        if (last == 'b' || kUnits.find(last) != std::string_view::npos) {
            number.remove_suffix(1);
            shift = last == 'b' ? 0 : 10 * static_cast<int>(kUnits.find(last) + 1);
        }
    }
    const auto bad = [&] {
        return fail(Errc::invalid_argument, "'{}' is not a size (a number with K, M, G or T)", text);
    };
    const auto dot = number.find('.');
    const auto whole = parse_u64(number.substr(0, dot));
    if (!whole || *whole > (UINT64_MAX >> shift)) return bad();
    std::uint64_t bytes = *whole << shift;
    if (dot != std::string_view::npos) {
        const std::string_view digits = number.substr(dot + 1);
        const auto fraction = parse_u64(digits);
        if (!fraction || digits.size() > 9) return bad();
        const double part =
            static_cast<double>(*fraction) / std::pow(10.0, static_cast<double>(digits.size()));
        bytes += static_cast<std::uint64_t>(part * std::exp2(shift));
    }
    return bytes;
}

std::string render_size(std::uint64_t bytes) {
    constexpr std::string_view kUnits = "KMGTP";
    std::size_t unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit < kUnits.size()) {
        bytes /= 1024;
        ++unit;
    }
    std::string text = std::to_string(bytes);
    if (unit > 0) text += kUnits[unit - 1];
    return text;
}

}  // namespace kz
