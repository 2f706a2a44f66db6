#include "qemu/firmware.h"

#include <gmock/gmock.h>

namespace kz::qemu {
namespace {

using testing::HasSubstr;

TEST(Firmware, BiosIsQemusOwn) {
    const auto path = firmware_of(false, 0);
    ASSERT_TRUE(path);
    EXPECT_TRUE(path->empty());
}

TEST(Firmware, AMachineThatWasStartedWithUefiStaysSo) {
    const auto path = firmware_of(false, 2 << 20);
    ASSERT_FALSE(path);
    EXPECT_EQ(path.error().code(), Errc::unsupported);
    EXPECT_THAT(path.error().message(), HasSubstr("configured with BIOS"));
}

TEST(Firmware, UefiIsTheHostsOfTheSameSize) {
    const auto here = find_uefi_firmware();
    if (!here) GTEST_SKIP() << here.error().message();
    EXPECT_EQ(firmware_of(true, here->bytes).value(), here->file);
    EXPECT_THAT(firmware_of(true, here->bytes / 2).error().message(), HasSubstr("of 1048576 bytes; /"));
    EXPECT_THAT(firmware_of(true, 0).error().message(), HasSubstr("started with BIOS"));
}

}  // namespace
}  // namespace kz::qemu
