#include "os/uuid.h"

#include <sys/random.h>

#include <array>
#include <cctype>
#include <cerrno>

#include "base/bytes.h"

namespace kz {
namespace {

constexpr std::size_t kUuidLength = 36;

bool is_dash_position(std::size_t position) {
    return position == 8 || position == 13 || position == 18 || position == 23;
}

}  // namespace

Result<std::string> random_uuid() {
    std::array<Byte, 16> raw{};
    // Requests of up to 256 bytes are never cut short.
    if (::getrandom(raw.data(), raw.size(), 0) != static_cast<ssize_t>(raw.size()))
        return fail_errno(errno, "getrandom");
    raw[6] = static_cast<Byte>((raw[6] & 0x0f) | 0x40);  // version 4
    raw[8] = static_cast<Byte>((raw[8] & 0x3f) | 0x80);  // variant of RFC 9562
    std::string text;
    for (const char digit : to_hex(raw)) {
        if (is_dash_position(text.size())) text += '-';
        text += digit;
    }
    return text;
}

bool is_uuid(std::string_view text) {
    if (text.size() != kUuidLength) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool fits =
            is_dash_position(i) ? text[i] == '-' : std::isxdigit(static_cast<unsigned char>(text[i])) != 0;
        if (!fits) return false;
    }
    return true;
}

}  // namespace kz
