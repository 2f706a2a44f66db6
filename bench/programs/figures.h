// What the bench programs share: CPU time, data that does not compress, and one line of JSON as their answer.
#pragma once

#include <fmt/core.h>
#include <sys/resource.h>
#include <time.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <string_view>

#include "base/bytes.h"

namespace kz::bench {

inline double seconds_of(const timespec& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

inline double clock_seconds(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return seconds_of(now);
}

inline Bytes random_data(std::size_t size) {
    std::mt19937_64 random(42);
    Bytes data(size);
    for (std::size_t i = 0; i + 8 <= size; i += 8)
        store_le<std::uint64_t>(data.data() + i, random());
    return data;
}

[[noreturn]] inline void give_up(std::string_view what) {
    fmt::print(stderr, "{}\n", what);
    std::exit(1);
}

}  // namespace kz::bench
