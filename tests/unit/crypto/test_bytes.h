// Shorthands of the crypto tests.
#pragma once

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace kz::crypto {

inline Bytes hex(std::string_view digits) {
    auto bytes = from_hex(digits);
    EXPECT_TRUE(bytes.has_value()) << digits;
    return bytes.value_or(Bytes{});
}

}  // namespace kz::crypto
