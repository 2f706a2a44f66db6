#include "qemu/firmware.h"

#include <gmock/gmock.h>

namespace kz::qemu {
namespace {

using testing::HasSubstr;

TEST(Firmware, BiosIsQemusOwn) {
    const auto firmware = firmware_of(false, 0);
    ASSERT_TRUE(firmware);
    EXPECT_FALSE(*firmware);
}

TEST(Firmware, AMachineThatWasStartedWithUefiStaysSo) {
    const auto firmware = firmware_of(false, 4 << 20);
    ASSERT_FALSE(firmware);
    EXPECT_EQ(firmware.error().code(), Errc::unsupported);
    EXPECT_THAT(firmware.error().message(), HasSubstr("configured with BIOS"));
}

TEST(Firmware, UefiIsTheHostsOfTheSameSize) {
    const auto here = find_uefi_firmware();
    if (!here) GTEST_SKIP() << here.error().message();
    EXPECT_EQ(here->bytes, 4U << 20) << "the same in all of Debian's releases";
    EXPECT_EQ(firmware_of(true, here->bytes).value()->code, here->code);
    EXPECT_THAT(firmware_of(true, 2 << 20).error().message(), HasSubstr("of 2097152 bytes; /"));
    EXPECT_THAT(firmware_of(true, 0).error().message(), HasSubstr("started with BIOS"));
}

TEST(Firmware, TheCodeEndsWithWhatTheProcessorStartsAt) {
    const auto here = find_uefi_firmware();
    if (!here) GTEST_SKIP() << here.error().message();
    const auto image = read_firmware(*here);
    ASSERT_TRUE(image) << image.error().message();
    ASSERT_EQ(image->size(), here->bytes);
    // The first volume's signature, of the variables; and the reset vector, 16 bytes before the end.
    EXPECT_EQ(as_text(*image).substr(40, 4), "_FVH");
    EXPECT_EQ((*image)[image->size() - 16], 0x90);
}

}  // namespace
}  // namespace kz::qemu
