#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "zone/checks.h"

namespace kz::zone {

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kMaxCpus = 1024;

Checked bad(std::string_view offending) {
    return std::unexpected(BadValue{std::string(offending)});
}

Checked check_between(std::string_view value, std::uint64_t low, std::uint64_t high) {
    const auto number = parse_u64(value);
    if (!number || *number < low || *number > high) return bad(value);
    return std::to_string(*number);
}

// "3" or "2-4", both ends within low..high and in order.
bool is_range(std::string_view text, std::uint64_t low, std::uint64_t high) {
    const auto dash = text.find('-');
    const auto first = parse_u64(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_u64(text.substr(dash + 1));
    return first && last && *first >= low && *first <= *last && *last <= high;
}

}  // namespace

Checked check_id(const PropertySpec&, std::string_view value) {
    return check_between(value, 0, 9999);
}

Checked check_count(const PropertySpec&, std::string_view value) {
    return check_between(value, 1, 1 << 20);
}

Checked check_vcpus(const PropertySpec&, std::string_view value) {
    return check_between(value, 1, kMaxCpus);
}

Checked check_cpu_range(const PropertySpec&, std::string_view value) {
    if (!is_range(value, 1, kMaxCpus)) return bad(value);
    return std::string(value);
}

Checked check_cpu_amount(const PropertySpec&, std::string_view value) {
    const auto dot = value.find('.');
    const auto whole = parse_u64(value.substr(0, dot));
    if (!whole || *whole > kMaxCpus) return bad(value);
    std::uint64_t hundredths = *whole * 100;
    if (dot != std::string_view::npos) {
        const std::string_view digits = value.substr(dot + 1);
        const auto fraction = parse_u64(digits);
        if (!fraction || digits.size() > 2) return bad(value);
        hundredths += digits.size() == 1 ? *fraction * 10 : *fraction;
    }
    if (hundredths == 0 || hundredths > kMaxCpus * 100) return bad(value);
    return fmt::format("{}.{:02}", hundredths / 100, hundredths % 100);
}

Checked check_cpu_set(const PropertySpec&, std::string_view value) {
    for (const std::string& item : split(value, ','))
        if (!is_range(item, 0, 65535)) return bad(item);
    return std::string(value);
}

Checked check_vlan(const PropertySpec&, std::string_view value) {
    return check_between(value, 0, 4094);
}

Checked check_mtu(const PropertySpec&, std::string_view value) {
    return check_between(value, 68, 65535);
}

Checked check_percent(const PropertySpec&, std::string_view value) {
    return check_between(value, 1, 100);
}

Checked check_memory(const PropertySpec&, std::string_view value) {
    const auto bytes = parse_size(value);
    if (!bytes || *bytes % (2 * kMiB) != 0 || *bytes < 32 * kMiB || *bytes > (kMiB << 26)) return bad(value);
    return render_size(*bytes);
}

Checked check_size(const PropertySpec&, std::string_view value) {
    const auto bytes = parse_size(value);
    if (!bytes || *bytes == 0) return bad(value);
    return render_size(*bytes);
}

Checked check_bandwidth(const PropertySpec&, std::string_view value) {
    std::string_view digits = value;
    if (!digits.empty() && std::string_view("kKmMgG").find(digits.back()) != std::string_view::npos)
        digits.remove_suffix(1);
    const auto number = parse_u64(digits);
    if (!number || *number == 0 || *number > 1'000'000'000'000) return bad(value);
    return std::string(value);
}

Checked check_hostid(const PropertySpec&, std::string_view value) {
    const auto number = parse_hex_u64(value);
    if (!number || *number > 0xfffffffe) return bad(value);
    return fmt::format("0x{:08x}", *number);
}

Checked check_key(const PropertySpec&, std::string_view value) {
    const auto is_hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
    // A refused key is not shown: it may be a real one with a typing error.
    if (value.size() % 2 != 0 || value.size() < 32 || value.size() > 128 ||
        !std::ranges::all_of(value, is_hex))
        return bad("raw");
    return to_lower(value);
}

}  // namespace kz::zone
