#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.h"
#include "zone/checks.h"
#include "zone/names.h"

namespace kz::zone {

namespace {

constexpr std::size_t kMaxText = 4096;

Checked bad(std::string_view offending) {
    return std::unexpected(BadValue{std::string(offending)});
}

bool is_printable(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return c == '\t' || (byte >= 0x20 && byte != 0x7f);
}

bool is_word_character(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_.:@+-").find(c) != std::string_view::npos;
}

}  // namespace

Checked check_text(const PropertySpec&, std::string_view value) {
    if (value.size() > kMaxText || !std::ranges::all_of(value, is_printable)) return bad(value.substr(0, 64));
    return std::string(value);
}

Checked check_word(const PropertySpec&, std::string_view value) {
    if (value.empty() || value.size() > 255 || !std::ranges::all_of(value, is_word_character))
        return bad(value.substr(0, 64));
    return std::string(value);
}

Checked check_choice(const PropertySpec& spec, std::string_view value) {
    if (!field_has(spec.choices, value)) return bad(value);
    return std::string(value);
}

Checked check_choices(const PropertySpec& spec, std::string_view value) {
    for (const std::string& item : split(value, ','))
        if (!field_has(spec.choices, item)) return bad(item);
    return std::string(value);
}

Checked check_brand(const PropertySpec&, std::string_view value) {
    if (value != kBrand && value != kBrandAlias) return bad(value);
    return std::string(kBrand);
}

Checked check_zone_name(const PropertySpec&, std::string_view value) {
    if (!is_well_formed_name(value)) return bad(value);
    return std::string(value);
}

Checked check_complex(const PropertySpec&, std::string_view value) {
    constexpr std::array kFields{"priv", "limit", "action"};
    if (!value.starts_with('(') || !value.ends_with(')')) return bad(value);
    const auto parts = split(value.substr(1, value.size() - 2), ',');
    if (parts.size() != kFields.size()) return bad(value);
    for (const std::string& part : parts) {
        const auto equals = part.find('=');
        if (equals == std::string::npos || equals + 1 == part.size()) return bad(part);
        const std::string name = part.substr(0, equals);
        if (std::ranges::find(kFields, name) == kFields.end()) return bad(part);
        if (name == "limit" && !parse_u64(part.substr(equals + 1))) return bad(part);
    }
    return std::string(value);
}

bool is_well_formed_name(std::string_view name) {
    const auto ordinary = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-';
    };
    return !name.empty() && name.size() <= kMaxZoneName &&
           std::isalnum(static_cast<unsigned char>(name.front())) != 0 && std::ranges::all_of(name, ordinary);
}

bool is_reserved_name(std::string_view name) {
    return name == "global" || name.starts_with("SUNW") || name.starts_with("SYS");
}

}  // namespace kz::zone
