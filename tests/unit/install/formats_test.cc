// cpio, GPT and GRUB: bytes that a kernel, a partitioning program and a BIOS read.
#include <gtest/gtest.h>

#include <algorithm>

#include "fixture.h"
#include "install/cpio.h"
#include "install/esp.h"
#include "install/gpt.h"
#include "install/grub.h"
#include "install/tools.h"
#include "os/process.h"

namespace kz::install {
namespace {

Path golden(std::string_view name) {
    return Path(KZ_TEST_DATA) / name;
}

TEST(Cpio, MatchesTheGoldenArchive) {
    CpioWriter writer;
    writer.add_directory("bin", 0755);
    writer.add_file("bin/one", 0750, as_bytes("12345"));
    writer.add_symlink("bin/two", "one");
    writer.add_file("empty", 0644, {});
    EXPECT_EQ(as_text(std::move(writer).finish()), get(golden("small.cpio")));
}

TEST(Gpt, PlacesPartitionsWithinTheUsableSize) {
    const Result<DiskLayout> layout = plan_disk(64 * kMebibyte - 512);
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->sectors, 131071U);
    EXPECT_EQ(layout->boot_first, 2048U);
    EXPECT_EQ(layout->boot_last, 4095U);
    EXPECT_EQ(layout->esp_first, 4096U);
    EXPECT_EQ(layout->esp_last, 16U * 2048 - 1);
    EXPECT_EQ(layout->root_first, 16U * 2048);
    EXPECT_EQ(layout->root_last, 63U * 2048 - 1);
    EXPECT_FALSE(plan_disk(64 * kMebibyte + 1));
    EXPECT_FALSE(plan_disk(24 * kMebibyte - 512));
    EXPECT_EQ(plan_disk(24 * kMebibyte)->root_last, 23U * 2048 - 1);
}

PartitionTable sample_table() {
    return *encode_gpt(*plan_disk(63 * kMebibyte), {.disk = "01020304-0506-0708-090a-0b0c0d0e0f10",
                                                    .boot = "b0020304-0506-0708-090a-0b0c0d0e0f10",
                                                    .esp = "e0020304-0506-0708-090a-0b0c0d0e0f10",
                                                    .root = "70020304-0506-0708-090a-0b0c0d0e0f10"});
}

TEST(Gpt, MatchesTheGoldenTable) {
    const PartitionTable table = sample_table();
    EXPECT_EQ(table.backup_offset, 63 * kMebibyte - 33 * kSectorSize);
    EXPECT_EQ(as_text(table.primary), get(golden("gpt-63m-primary.bin")));
    EXPECT_EQ(as_text(table.backup), get(golden("gpt-63m-backup.bin")));
}

using GptToolTest = FolderTest;
TEST_F(GptToolTest, SfdiskAgrees) {
    const Result<std::string> sfdisk = find_tool("sfdisk");
    if (!sfdisk) GTEST_SKIP() << sfdisk.error().message();
    const PartitionTable table = sample_table();
    std::string image(63 * kMebibyte, '\0');
    std::ranges::copy(table.primary, image.begin());
    std::ranges::copy(table.backup, image.begin() + static_cast<std::ptrdiff_t>(table.backup_offset));
    put(folder() / "disk", image);
    const Result<std::string> verify = run_checked({*sfdisk, "--verify", folder() / "disk"});
    ASSERT_TRUE(verify) << verify.error().message();
    EXPECT_NE(verify->find("No errors detected"), std::string::npos) << *verify;
    const Result<std::string> dump = run_checked({*sfdisk, "--dump", folder() / "disk"});
    ASSERT_TRUE(dump);
    EXPECT_NE(dump->find("label-id: 01020304-0506-0708-090A-0B0C0D0E0F10"), std::string::npos) << *dump;
    EXPECT_NE(dump->find("type=21686148-6449-6E6F-744E-656564454649"), std::string::npos) << *dump;
    EXPECT_NE(dump->find("type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B"), std::string::npos) << *dump;
    EXPECT_NE(dump->find("type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"), std::string::npos) << *dump;
}

TEST(Gpt, RefusesWhatIsNoUuid) {
    const std::string good = "01020304-0506-0708-090a-0b0c0d0e0f10";
    for (const std::string bad : {"", "01020304", "x1020304-0506-0708-090a-0b0c0d0e0f10"}) {
        EXPECT_FALSE(encode_gpt(*plan_disk(63 * kMebibyte), {bad, good, good, good})) << bad;
        EXPECT_FALSE(encode_gpt(*plan_disk(63 * kMebibyte), {good, good, bad, good})) << bad;
        EXPECT_FALSE(encode_gpt(*plan_disk(63 * kMebibyte), {good, good, good, bad})) << bad;
    }
}

TEST(Grub, BootImageKeepsThePartitionTable) {
    Bytes boot(512, 0xb0);
    Bytes disk(1024, 0xdd);
    ASSERT_TRUE(embed_boot_image(disk, boot, 0x123456789a));
    EXPECT_EQ(load_le<std::uint64_t>(disk.data() + 0x5c), 0x123456789aU);
    EXPECT_EQ(disk[0], 0xb0);
    EXPECT_EQ(disk[0x66], 0x90);
    EXPECT_EQ(disk[0x67], 0x90);
    EXPECT_EQ(disk[439], 0xb0);
    EXPECT_EQ(std::count(disk.begin() + 440, disk.end(), 0xdd), 1024 - 440);
    EXPECT_EQ(embed_boot_image(disk, Bytes(511), 1).error().code(), Errc::corrupt);
    EXPECT_EQ(embed_boot_image(MutableBytes(disk).first(511), boot, 1).error().code(),
              Errc::invalid_argument);
}

TEST(Grub, CoreImageLoadsItsOwnRest) {
    Bytes core(1300, 0xc0);
    ASSERT_TRUE(patch_core_image(core, 2048, 4096));
    ASSERT_EQ(core.size(), 1536U);
    EXPECT_EQ(load_le<std::uint64_t>(core.data() + 0x1f4), 2049U);
    EXPECT_EQ(load_le<std::uint16_t>(core.data() + 0x1fc), 2U);
    EXPECT_EQ(core[0x1f3], 0xc0);
    EXPECT_EQ(core[0x1fe], 0xc0);
    EXPECT_EQ(core[1300], 0);
    EXPECT_EQ(patch_core_image(core, 2048, 1024).error().code(), Errc::no_space);
    Bytes tiny(512);
    EXPECT_EQ(patch_core_image(tiny, 2048, 4096).error().code(), Errc::corrupt);
}

using EspTest = FolderTest;
TEST_F(EspTest, HoldsThePrograms) {
    for (const char* tool : {"mformat", "mmd", "mcopy"}) {
        if (!find_tool(tool)) GTEST_SKIP() << tool << " is not installed";
    }
    const std::string program(100'000, 'x');
    put(folder() / "grub.efi", program);
    const Result<Bytes> esp = make_esp(folder() / "grub.efi", folder(), {});
    ASSERT_TRUE(esp) << esp.error().message();
    const std::string_view start = as_text(*esp);
    EXPECT_EQ(start.substr(54, 8), "FAT16   ");
    EXPECT_EQ(load_le<std::uint16_t>(esp->data() + 19), kEspBytes / kSectorSize);
    EXPECT_LT(esp->size(), 300'000U);
    EXPECT_NE(esp->back(), 0);
    std::string image(start);
    image.resize(kEspBytes);
    put(folder() / "again.img", image);
    const auto read =
        run_checked({*find_tool("mcopy"), "-i", folder() / "again.img", "::/EFI/BOOT/BOOTX64.EFI", "-"});
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(*read, program);
}

TEST_F(EspTest, IsTheSameEachTime) {
    if (!find_tool("mformat")) GTEST_SKIP() << "mformat is not installed";
    put(folder() / "grub.efi", "program");
    std::vector<Bytes> made;
    for (const char* each : {"one", "two"}) {
        std::filesystem::create_directories(folder() / each);
        const Result<Bytes> esp = make_esp(folder() / "grub.efi", folder() / each, {});
        ASSERT_TRUE(esp) << esp.error().message();
        made.push_back(*esp);
    }
    EXPECT_EQ(made[0], made[1]);
}

TEST_F(EspTest, AProgramThatIsTooLargeIsAnError) {
    if (!find_tool("mformat")) GTEST_SKIP() << "mformat is not installed";
    put(folder() / "grub.efi", std::string(kEspBytes, 'x'));
    EXPECT_FALSE(make_esp(folder() / "grub.efi", folder(), {}));
}

TEST(Tools, AMissingOneNamesItsPackage) {
    const Result<std::string> tool = find_tool("no-such-tool");
    ASSERT_FALSE(tool);
    EXPECT_EQ(tool.error().code(), Errc::not_found);
    EXPECT_EQ(tool.error().message(),
              "the program no-such-tool is missing; install the package no-such-tool");
}

}  // namespace
}  // namespace kz::install
