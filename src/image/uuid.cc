#include "image/uuid.h"

#include <algorithm>

namespace kz::image {
namespace {

constexpr std::size_t kTextSize = 36;
constexpr std::array<std::size_t, 4> kDashes = {8, 13, 18, 23};

}  // namespace

Result<UuidBytes> parse_uuid(std::string_view text) {
    const auto malformed = [&] { return fail(Errc::invalid_argument, "'{}' is not a uuid", text); };
    if (text.size() != kTextSize) return malformed();
    std::string digits;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool is_dash = std::ranges::find(kDashes, i) != kDashes.end();
        if (is_dash != (text[i] == '-')) return malformed();
        if (!is_dash) digits.push_back(text[i]);
    }
    const auto bytes = from_hex(digits);
    if (!bytes) return malformed();
    UuidBytes uuid{};
    std::ranges::copy(*bytes, uuid.begin());
    return uuid;
}

std::string render_uuid(const UuidBytes& bytes) {
    std::string text = to_hex(bytes);
    for (const std::size_t dash : kDashes)
        text.insert(dash, 1, '-');
    return text;
}

}  // namespace kz::image
