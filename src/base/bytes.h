// Bytes: spans, hexadecimal, base64 and fixed-width little-endian integers. For every floor.
//
// Everything that kzones writes on a wire or a disk is little-endian and of fixed width (DESIGN.md section
// 7).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.h"

namespace kz {

using Byte = std::uint8_t;
using Bytes = std::vector<Byte>;
using ByteView = std::span<const Byte>;
using MutableBytes = std::span<Byte>;

inline ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string to_hex(ByteView bytes);
// An even number of hexadecimal digits of either case; anything else is Errc::invalid_argument.
Result<Bytes> from_hex(std::string_view text);

std::string to_base64(ByteView bytes);
// Standard alphabet with padding; anything else is Errc::invalid_argument.
Result<Bytes> from_base64(std::string_view text);

template <typename T>
    requires std::is_unsigned_v<T>
void store_le(Byte* out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
        out[i] = static_cast<Byte>(value >> (8 * i));
}

template <typename T>
    requires std::is_unsigned_v<T>
T load_le(const Byte* in) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
        value = static_cast<T>(value | (static_cast<T>(in[i]) << (8 * i)));
    return value;
}

template <typename T>
    requires std::is_unsigned_v<T>
void append_le(Bytes& out, T value) {
    std::array<Byte, sizeof(T)> raw;
    store_le(raw.data(), value);
    out.insert(out.end(), raw.begin(), raw.end());
}

}  // namespace kz
