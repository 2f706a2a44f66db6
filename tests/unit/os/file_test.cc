#include "os/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>
#include <random>
#include <thread>

#include "../support/temp_folder.h"
#include "os/uuid.h"

namespace kz {
namespace {

using std::chrono::milliseconds;

std::vector<std::string> entries(const Path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        names.push_back(entry.path().filename());
    return names;
}

class FileTest : public testing::Test {
  protected:
    Path path(const std::string& name) const { return folder_.path() / name; }
    test::TempFolder folder_;
};

TEST_F(FileTest, ReadIsCapped) {
    std::ofstream(path("f")) << std::string(100'000, 'x');
    EXPECT_EQ(read_file(path("f"), 100'000)->size(), 100'000U);
    EXPECT_EQ(read_file(path("f"), 99'999).error().code(), Errc::invalid_argument);
    EXPECT_EQ(read_file(path("none"), 10).error().code(), Errc::not_found);
    EXPECT_FALSE(read_file(folder_.path(), 10));
}

TEST_F(FileTest, AtomicWriteReplacesWithModeAndNothingElse) {
    ASSERT_TRUE(write_file_atomic(path("f"), "one", 0600));
    ASSERT_TRUE(write_file_atomic(path("f"), "two", 0640));
    EXPECT_EQ(*read_file(path("f"), 10), "two");
    struct stat status{};
    ASSERT_EQ(::stat(path("f").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0640U);
    EXPECT_THAT(entries(folder_.path()), testing::ElementsAre("f"));
}

TEST_F(FileTest, FailedAtomicWriteLeavesTheOldAndNoLitter) {
    std::filesystem::create_directory(path("folder"));
    std::ofstream(path("folder/x")) << "x";
    // A folder that is not empty cannot be replaced by a file.
    EXPECT_FALSE(write_file_atomic(path("folder"), "new", 0600));
    EXPECT_THAT(entries(folder_.path()), testing::ElementsAre("folder"));
    EXPECT_EQ(write_file_atomic(path("none/f"), "new", 0600).error().code(), Errc::not_found);
}

TEST_F(FileTest, FullDiskLeavesTheOldFile) {
    ASSERT_TRUE(write_file_atomic(path("f"), "old", 0600));
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit small{1000, 1000};
        ::setrlimit(RLIMIT_FSIZE, &small);
        ::_exit(write_file_atomic(path("f"), std::string(5000, 'n'), 0600) ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(*read_file(path("f"), 10), "old");
    EXPECT_THAT(entries(folder_.path()), testing::ElementsAre("f"));
}

TEST_F(FileTest, KilledAtomicWriterLeavesAWholeFile) {
    const std::string first(20'000, 'a');
    const std::string second(30'000, 'b');
    ASSERT_TRUE(write_file_atomic(path("f"), first, 0600));
    std::minstd_rand random(std::random_device{}());
    std::uniform_int_distribution<int> microseconds(0, 2000);
    for (int round = 0; round < 100; ++round) {
        const pid_t child = ::fork();
        if (child == 0) {
            while (write_file_atomic(path("f"), second, 0600) && write_file_atomic(path("f"), first, 0600)) {
            }
            ::_exit(3);
        }
        std::this_thread::sleep_for(std::chrono::microseconds(microseconds(random)));
        ::kill(child, SIGKILL);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status));
        const std::string now = *read_file(path("f"), 100'000);
        ASSERT_TRUE(now == first || now == second);
    }
}

TEST_F(FileTest, MakeDirectoriesAndRemove) {
    ASSERT_TRUE(make_directories(path("a/b/c"), 0700));
    struct stat status{};
    ASSERT_EQ(::stat(path("a/b/c").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700U);
    EXPECT_TRUE(make_directories(path("a/b/c"), 0700));
    std::ofstream(path("file")) << "x";
    EXPECT_EQ(make_directories(path("file"), 0700).error().code(), Errc::already_exists);
    EXPECT_FALSE(make_directories(path("file/sub"), 0700));
    EXPECT_TRUE(remove_file(path("file")));
    EXPECT_TRUE(remove_file(path("file")));
    EXPECT_FALSE(remove_file(path("a")));
}

TEST_F(FileTest, LockExcludesOtherProcesses) {
    const pid_t child = ::fork();
    if (child == 0) {
        const Result<FileLock> lock = FileLock::acquire(path("lock"), Deadline::never());
        ::pause();
        ::_exit(0);
    }
    while (!FileLock::held(path("lock")))
        std::this_thread::yield();
    EXPECT_EQ(FileLock::acquire(path("lock"), Deadline::after(milliseconds(20))).error().code(), Errc::busy);
    EXPECT_TRUE(FileLock::held(path("lock")));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    // Dropped by the kernel when the holder dies.
    Result<FileLock> ours = FileLock::acquire(path("lock"), Deadline::after(milliseconds(10'000)));
    ASSERT_TRUE(ours);
    EXPECT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_EQ(FileLock::acquire(path("lock"), Deadline::after(milliseconds(0))).error().code(), Errc::busy);
    {
        const FileLock dropped = *std::move(ours);
    }
    EXPECT_FALSE(FileLock::held(path("lock")));
    EXPECT_FALSE(FileLock::held(path("none")));
    EXPECT_FALSE(std::filesystem::exists(path("none")));
}

TEST(Uuid, IsOfVersion4) {
    const std::string one = *random_uuid();
    EXPECT_TRUE(is_uuid(one)) << one;
    EXPECT_EQ(one[14], '4');
    EXPECT_NE(one, *random_uuid());
    EXPECT_TRUE(is_uuid("69ED2E6A-e25a-6d36-e022-ed7261ed8899"));
    for (const char* text :
         {"", "69ed2e6a-e25a-6d36-e022-ed7261ed889", "69ed2e6a-e25a-6d36-e022-ed7261ed88999",
          "69ed2e6ae-25a-6d36-e022-ed7261ed8899", "69ed2e6a-e25a-6d36-e022-ed7261ed889g"})
        EXPECT_FALSE(is_uuid(text)) << text;
}

TEST(Deadline, PassesAndCounts) {
    EXPECT_EQ(Deadline::never().poll_timeout(), -1);
    EXPECT_FALSE(Deadline::never().passed());
    const Deadline now = Deadline::after(milliseconds(0));
    EXPECT_TRUE(now.passed());
    EXPECT_EQ(now.poll_timeout(), 0);
    const Deadline later = Deadline::after(milliseconds(60'000));
    EXPECT_GT(later.poll_timeout(), 50'000);
    EXPECT_LE(later.poll_timeout(), 60'000);
    EXPECT_TRUE(later.earlier(now).passed());
    EXPECT_TRUE(now.earlier(later).passed());
    EXPECT_FALSE(later.earlier(Deadline::never()).passed());
    EXPECT_EQ(Deadline::never().earlier(Deadline::never()).poll_timeout(), -1);
    EXPECT_EQ(Deadline::after(std::chrono::hours(24 * 365)).poll_timeout(), 1 << 30);
}

TEST(HostPaths, RootMovesEverything) {
    const HostPaths paths("/tmp/host1");
    EXPECT_EQ(paths.config_file("ant1"), "/tmp/host1/etc/zones/ant1.cfg");
    EXPECT_EQ(paths.key_file("ant1"), "/tmp/host1/etc/zones/keys/ant1");
    EXPECT_EQ(HostPaths("/").zone_dir("a"), "/var/lib/zones/a");
    EXPECT_EQ(HostPaths::from_environment("/x/../y")->root(), "/y");
    EXPECT_EQ(HostPaths::from_environment("relative").error().code(), Errc::invalid_argument);
    ::setenv("KZONES_ROOT", "/from/environment", 1);
    EXPECT_EQ(HostPaths::from_environment("")->root(), "/from/environment");
    EXPECT_EQ(HostPaths::from_environment("/option")->root(), "/option");
    ::unsetenv("KZONES_ROOT");
    EXPECT_EQ(HostPaths::from_environment("")->root(), "/");
}

}  // namespace
}  // namespace kz
