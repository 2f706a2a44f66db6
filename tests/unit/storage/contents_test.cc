#include "storage/contents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "../support/temp_folder.h"
#include "os/process.h"
#include "storage/contents_probe.h"
#include "storage/host_data.h"

namespace kz::storage {
namespace {

using testing::StartsWith;

constexpr std::uint64_t kMiB = 1024 * 1024;

class Contents : public testing::Test {
  protected:
    Contents() { EXPECT_TRUE(create_volume(suri_, 64 * kMiB, {}).has_value()); }

    void run(std::vector<std::string> argv, const std::string& input = {}) const {
        argv.push_back(suri_.local_path());
        CommandOptions options;
        options.standard_input = input;
        const auto output = run_checked(argv, options);
        ASSERT_TRUE(output) << output.error().message();
    }
    void write(std::uint64_t offset, const Bytes& bytes) const {
        ASSERT_TRUE((*open_volume(suri_, {}))->write_durable(offset, bytes));
    }
    std::string described() const {
        const auto volume = open_volume(suri_, {});
        const Result<std::string> text = describe_contents(**volume);
        return text ? *text : "error: " + text.error().message();
    }

    test::TempFolder folder_;
    Suri suri_ = Suri::of_file(folder_.path() / "disk").value();
};

Bytes block_with(std::size_t offset, std::string_view text) {
    Bytes block(kVolumeBlock);
    std::ranges::copy(as_bytes(text), block.begin() + static_cast<std::ptrdiff_t>(offset));
    return block;
}

TEST_F(Contents, NothingIsNothing) {
    EXPECT_EQ(described(), "");
    // Between the places where labels are, data may hide: a whole disk is not read.
    write(32 * kMiB, Bytes(kVolumeBlock, 1));
    EXPECT_EQ(described(), "");
}

TEST_F(Contents, AFileSystemHasItsNameAndUuid) {
    run({"mkfs.ext4", "-q", "-L", "root", "-U", "69ed2e6a-e25a-4d36-a022-ed7261ed8899"});
    EXPECT_EQ(described(), "ext4 file system 'root' (uuid 69ed2e6a-e25a-4d36-a022-ed7261ed8899)");
}

TEST_F(Contents, SwapSpace) {
    run({"mkswap", "-q", "-U", "69ed2e6a-e25a-4d36-a022-ed7261ed8899"});
    EXPECT_EQ(described(), "swap space (uuid 69ed2e6a-e25a-4d36-a022-ed7261ed8899)");
}

TEST_F(Contents, APartitionTableHasItsPartitions) {
    run({"sfdisk", "-q"}, "label: gpt\nsize=8M, name=boot\nsize=16M\n");
    EXPECT_EQ(described(), "gpt partition table with 2 partitions ('boot' 8M, 16M)");
    run({"sfdisk", "-q", "--wipe", "always"}, "label: dos\nsize=8M\n");
    EXPECT_EQ(described(), "dos partition table with 1 partition (8M)");
}

TEST_F(Contents, ALabelIsMadeHarmless) {
    run({"mkfs.ext4", "-q", "-L", "\x1b[2Jx\xc3\xa4"});
    EXPECT_THAT(described(), StartsWith("ext4 file system '?[2Jx?"
                                        "?'"));
}

TEST_F(Contents, AnEncryptedVolume) {
    write(0, block_with(0, std::string_view("LUKS\xba\xbe\0\1", 8)));
    EXPECT_THAT(described(), StartsWith("LUKS encrypted volume"));
}

TEST_F(Contents, HostDataOfAZone) {
    const auto volume = open_volume(suri_, {}).value();
    HostDataArea area = HostDataArea::open(*volume, Secret(Bytes(16, Byte{7}))).value();
    HostData data;
    data.zone_uuid = "69ed2e6a-e25a-4d36-a022-ed7261ed8899";
    ASSERT_TRUE(area.initialize(data));
    EXPECT_EQ(described(), "host data of the zone with uuid 69ed2e6a-e25a-4d36-a022-ed7261ed8899");
}

TEST_F(Contents, WhatNobodyKnowsIsStillSomething) {
    write(0, block_with(100, "data of somebody"));
    EXPECT_EQ(described(), "data of no known format");
    write(0, Bytes(kVolumeBlock));
    write(64 * kMiB - kVolumeBlock, block_with(4000, "the end"));
    EXPECT_EQ(described(), "data of no known format");
}

TEST_F(Contents, TheCopyOfAPartitionTableAtTheEndIsFound) {
    run({"sfdisk", "-q"}, "label: gpt\nsize=8M\n");
    const auto volume = open_volume(suri_, {}).value();
    Bytes block(kVolumeBlock);
    ASSERT_TRUE(volume->read(0, block));
    std::fill(block.begin() + 512, block.end(), Byte{0});
    write(0, block);
    EXPECT_EQ(described(), "gpt partition table with 1 partition (8M)");
}

// A superblock whose fields are random behind its magic never ends the examining process.
TEST_F(Contents, HostileContentsAreExamined) {
    std::mt19937 random(7);
    for (int round = 0; round < 12; ++round) {
        Bytes noise(64 * kVolumeBlock);
        std::ranges::generate(noise, [&] { return static_cast<Byte>(random()); });
        noise[1080] = 0x53;
        noise[1081] = 0xef;
        noise[510] = 0x55;
        noise[511] = 0xaa;
        std::ranges::copy(as_bytes("EFI PART"), noise.begin() + 512);
        write(0, noise);
        const std::string text = described();
        EXPECT_FALSE(text.empty());
        EXPECT_THAT(text, testing::Not(StartsWith("error")));
        EXPECT_LE(text.size(), 4096U);
    }
}

TEST_F(Contents, AVolumeSmallerThanOneWindow) {
    const Suri small = Suri::of_file(folder_.path() / "small").value();
    ASSERT_TRUE(create_volume(small, 5000, {}));
    const auto volume = open_volume(small, {}).value();
    EXPECT_EQ(describe_contents(*volume).value(), "");
    ASSERT_TRUE(volume->write_durable(0, block_with(0, "x")));
    EXPECT_EQ(describe_contents(*volume).value(), "data of no known format");
}

}  // namespace
}  // namespace kz::storage
