#include "storage/volume.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <numeric>

#include "../support/temp_folder.h"

namespace kz::storage {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

class FileVolume : public testing::Test {
  protected:
    Suri suri(const std::string& name) const { return *Suri::of_file(folder_.path() / name); }
    test::TempFolder folder_;
};

Bytes pattern(std::size_t size) {
    Bytes bytes(size);
    std::iota(bytes.begin(), bytes.end(), Byte{1});
    return bytes;
}

TEST_F(FileVolume, IsCreatedSparseWithItsFolders) {
    const Suri disk = suri("a/b/disk0");
    EXPECT_FALSE(*volume_exists(disk, {}));
    ASSERT_TRUE(create_volume(disk, 64 * kMiB, {}));
    EXPECT_TRUE(*volume_exists(disk, {}));
    struct stat status{};
    ASSERT_EQ(::stat(disk.local_path().c_str(), &status), 0);
    EXPECT_EQ(status.st_size, static_cast<off_t>(64 * kMiB));
    EXPECT_LT(status.st_blocks * 512, static_cast<blkcnt_t>(kMiB));
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    EXPECT_EQ((*open_volume(disk, {}))->size_bytes(), 64 * kMiB);
}

TEST_F(FileVolume, CreateNeverTouchesWhatIsThere) {
    const Suri disk = suri("disk0");
    std::ofstream(disk.local_path()) << "precious";
    const Result<void> made = create_volume(disk, kMiB, {});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code(), Errc::already_exists);
    EXPECT_EQ(std::filesystem::file_size(disk.local_path()), 8U);
}

TEST_F(FileVolume, FailedCreateLeavesNothing) {
    const Suri disk = suri("disk0");
    // More than any file system's largest file.
    EXPECT_FALSE(create_volume(disk, INT64_MAX, {}));
    EXPECT_FALSE(*volume_exists(disk, {}));
    EXPECT_FALSE(create_volume(disk, 0, {}));
    EXPECT_FALSE(*volume_exists(disk, {}));
}

TEST_F(FileVolume, ReadsAndWritesAnywhere) {
    ASSERT_TRUE(create_volume(suri("disk0"), 4 * kMiB, {}));
    const std::unique_ptr<Volume> volume = *open_volume(suri("disk0"), {});
    const Bytes written = pattern(3 * kVolumeBlock);
    ASSERT_TRUE(volume->write_durable(kMiB, written));
    Bytes got(written.size());
    ASSERT_TRUE(volume->read(kMiB, got));
    EXPECT_EQ(got, written);
    Bytes odd(5000);
    ASSERT_TRUE(volume->read(kMiB + 17, odd));
    EXPECT_TRUE(std::equal(odd.begin(), odd.end(), written.begin() + 17));
    // Longer than one transfer.
    const Bytes large = pattern(2 * kMiB + kVolumeBlock);
    ASSERT_TRUE(volume->write_durable(0, large));
    Bytes large_got(large.size());
    ASSERT_TRUE(volume->read(0, large_got));
    EXPECT_EQ(large_got, large);
}

TEST_F(FileVolume, ReadsAFileOfAnOddSizeToItsEnd) {
    const Suri disk = suri("odd");
    ASSERT_TRUE(create_volume(disk, 2 * kVolumeBlock + 100, {}));
    const std::unique_ptr<Volume> volume = *open_volume(disk, {});
    Bytes got(200, 7);
    ASSERT_TRUE(volume->read(2 * kVolumeBlock - 100, got));
    EXPECT_EQ(got, Bytes(200));
    EXPECT_EQ(volume->read(2 * kVolumeBlock, got).error().code(), Errc::invalid_argument);
}

TEST_F(FileVolume, RefusesWhatIsOutsideOrNotOfWholeBlocks) {
    ASSERT_TRUE(create_volume(suri("disk0"), kMiB, {}));
    const std::unique_ptr<Volume> volume = *open_volume(suri("disk0"), {});
    Bytes block(kVolumeBlock);
    for (const std::uint64_t offset : {kMiB, kMiB - 4095, UINT64_MAX - 4095, UINT64_MAX}) {
        EXPECT_EQ(volume->read(offset, block).error().code(), Errc::invalid_argument) << offset;
        EXPECT_EQ(volume->write_durable(offset, block).error().code(), Errc::invalid_argument) << offset;
    }
    EXPECT_EQ(volume->write_durable(512, block).error().code(), Errc::invalid_argument);
    EXPECT_EQ(volume->write_durable(0, ByteView(block).first(100)).error().code(), Errc::invalid_argument);
}

TEST_F(FileVolume, SeesWhatAnotherWriterWrote) {
    ASSERT_TRUE(create_volume(suri("disk0"), kMiB, {}));
    const std::unique_ptr<Volume> one = *open_volume(suri("disk0"), {});
    const std::unique_ptr<Volume> two = *open_volume(suri("disk0"), {});
    Bytes block(kVolumeBlock);
    ASSERT_TRUE(one->read(0, block));
    ASSERT_TRUE(two->write_durable(0, pattern(kVolumeBlock)));
    ASSERT_TRUE(one->read(0, block));
    EXPECT_EQ(block, pattern(kVolumeBlock));
}

TEST_F(FileVolume, NoticesThatTheFileWasCut) {
    ASSERT_TRUE(create_volume(suri("disk0"), kMiB, {}));
    const std::unique_ptr<Volume> volume = *open_volume(suri("disk0"), {});
    std::filesystem::resize_file(suri("disk0").local_path(), 0);
    Bytes block(kVolumeBlock);
    EXPECT_EQ(volume->read(0, block).error().code(), Errc::io);
}

TEST_F(FileVolume, GivesQemuADescriptorOfItsOwn) {
    ASSERT_TRUE(create_volume(suri("disk0"), kMiB, {}));
    const std::unique_ptr<Volume> volume = *open_volume(suri("disk0"), {});
    const Result<VolumeBacking> backing = volume->backing();
    ASSERT_TRUE(backing);
    const auto& local = std::get<LocalBacking>(*backing);
    EXPECT_FALSE(local.block_device);
    const int flags = ::fcntl(local.fd.get(), F_GETFL);
    EXPECT_EQ(flags & O_ACCMODE, O_RDWR);
    EXPECT_EQ(flags & (O_DIRECT | O_DSYNC), 0);
    // A file put in its place is another disk.
    std::filesystem::remove(suri("disk0").local_path());
    ASSERT_TRUE(create_volume(suri("disk0"), kMiB, {}));
    EXPECT_EQ(volume->backing().error().code(), Errc::wrong_state);
}

TEST_F(FileVolume, DestroyRemovesOnlyRegularFiles) {
    ASSERT_TRUE(create_volume(suri("disk0"), kMiB, {}));
    std::filesystem::create_symlink(folder_.path() / "disk0", folder_.path() / "link");
    EXPECT_EQ(destroy_volume(suri("link"), {}).error().code(), Errc::invalid_argument);
    EXPECT_TRUE(destroy_volume(suri("disk0"), {}));
    EXPECT_FALSE(*volume_exists(suri("disk0"), {}));
    EXPECT_EQ(destroy_volume(suri("disk0"), {}).error().code(), Errc::not_found);
}

TEST_F(FileVolume, OpenTellsWhatIsWrong) {
    EXPECT_EQ(open_volume(suri("none"), {}).error().code(), Errc::not_found);
    std::filesystem::create_directory(folder_.path() / "folder");
    EXPECT_FALSE(open_volume(suri("folder"), {}));
    ASSERT_EQ(::mkfifo((folder_.path() / "fifo").c_str(), 0600), 0);
    EXPECT_EQ(open_volume(suri("fifo"), {}).error().code(), Errc::invalid_argument);
    EXPECT_EQ(open_volume(*Suri::parse("dev:null"), {}).error().code(), Errc::invalid_argument);
    EXPECT_EQ(open_volume(*Suri::parse("dev:no-such-device"), {}).error().code(), Errc::not_found);
}

TEST_F(FileVolume, UsesTheRightsOfTheNamedAccount) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    std::filesystem::permissions(folder_.path(), std::filesystem::perms::all);
    const Suri disk = *Suri::parse("file://65534:65534@" + (folder_.path() / "disk0").string());
    ASSERT_TRUE(create_volume(disk, kMiB, {}));
    struct stat status{};
    ASSERT_EQ(::stat(disk.local_path().c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 65534U);
    EXPECT_EQ(status.st_gid, 65534U);
    ASSERT_TRUE(create_volume(suri("of_root"), kMiB, {}));
    const Suri foreign = *Suri::parse("file://65534:65534@" + (folder_.path() / "of_root").string());
    EXPECT_EQ(open_volume(foreign, {}).error().code(), Errc::permission);
    EXPECT_TRUE(open_volume(suri("of_root"), {}));
    const Suri unknown = *Suri::parse("file://no-such-user:root@/x");
    EXPECT_EQ(open_volume(unknown, {}).error().code(), Errc::not_found);
}

TEST(Volume, DisksAreNotMadeFromHere) {
    for (const char* text :
         {"dev:sdz", "lu:luname.naa.5000c5000288fa25", "iscsi:///luname.naa.5000c5000288fa25"}) {
        const Suri suri = *Suri::parse(text);
        EXPECT_EQ(create_volume(suri, kMiB, {}).error().code(), Errc::unsupported) << text;
        EXPECT_EQ(destroy_volume(suri, {}).error().code(), Errc::unsupported) << text;
    }
}

}  // namespace
}  // namespace kz::storage
