// SCSI's integers are big-endian. Internal to storage.
#pragma once

#include <type_traits>

#include "base/bytes.h"

namespace kz::storage {

template <typename T>
    requires std::is_unsigned_v<T>
void store_be(Byte* out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
        out[i] = static_cast<Byte>(value >> (8 * (sizeof(T) - 1 - i)));
}

template <typename T>
    requires std::is_unsigned_v<T>
T load_be(const Byte* in) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
        value = static_cast<T>((value << 8) | in[i]);
    return value;
}

}  // namespace kz::storage
