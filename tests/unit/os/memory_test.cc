#include "os/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

namespace kz {
namespace {

TEST(HostMemory, IsReadFromMeminfo) {
    const auto memory = parse_meminfo("MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    250 kB\n");
    ASSERT_TRUE(memory);
    EXPECT_EQ(memory->total, 1000U * 1024);
    EXPECT_EQ(memory->available, 250U * 1024);
}

TEST(HostMemory, WhatIsMissingOrStrangeIsAnError) {
    for (const char* text : {"", "MemTotal: 1 kB\n", "MemTotal: x kB\nMemAvailable: 1 kB\n",
                             "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n"})
        EXPECT_FALSE(parse_meminfo(text)) << text;
}

TEST(HostMemory, ThisHostHasSome) {
    const auto memory = host_memory();
    ASSERT_TRUE(memory);
    EXPECT_GT(memory->available, 0U);
    EXPECT_LE(memory->available, memory->total);
}

TEST(ResidentBytes, GrowWithWhatIsTouched) {
    constexpr std::size_t kMore = 32U << 20;
    const auto before = resident_bytes(::getpid());
    ASSERT_TRUE(before);
    const std::vector<char> memory(kMore, 'x');
    const auto after = resident_bytes(::getpid());
    ASSERT_TRUE(after);
    EXPECT_GE(*after + (kMore / 4), *before + kMore) << memory.back();
}

TEST(ResidentBytes, OfNobody) {
    const auto none = resident_bytes(-1);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code(), Errc::not_found);
}

}  // namespace
}  // namespace kz
