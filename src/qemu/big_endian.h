// Big-endian integers, as QEMU's migration streams have them. Private to src/qemu.
#pragma once

#include "base/bytes.h"

namespace kz::qemu {

template <typename T>
    requires std::is_unsigned_v<T>
T load_be(const Byte* in) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
        value = static_cast<T>((std::uint64_t{value} << 8) | in[i]);
    return value;
}

template <typename T>
    requires std::is_unsigned_v<T>
void append_be(Bytes& out, T value) {
    for (std::size_t i = sizeof(T); i-- > 0;)
        out.push_back(static_cast<Byte>(value >> (8 * i)));
}

}  // namespace kz::qemu
