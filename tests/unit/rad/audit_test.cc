#include "rad/audit.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "../support/temp_folder.h"
#include "http_client.h"

namespace kz::rad {
namespace {

class AuditFile : public testing::Test {
  protected:
    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    Log log_{UniqueFd(), "test"};
    Audit audit_{paths_, log_};
};

TEST_F(AuditFile, IsForRootAloneAndHoldsOneLineEach) {
    audit_.action({{"who", "node1"}, {"what", "one\nline"}});
    audit_.action({{"who", "node2"}});
    const auto lines = read_audit(paths_);
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0]["what"], "one\nline");
    EXPECT_TRUE(lines[1]["when"].get<std::string>().ends_with("Z"));
    struct stat status{};
    ASSERT_EQ(::stat((paths_.log_dir() / "audit.jsonl").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(AuditFile, MayBeRenamedAway) {
    audit_.action({{"who", "node1"}});
    std::filesystem::rename(paths_.log_dir() / "audit.jsonl", paths_.log_dir() / "audit.jsonl.1");
    audit_.action({{"who", "node2"}});
    ASSERT_EQ(read_audit(paths_).size(), 1U);
    EXPECT_EQ(read_audit(paths_)[0]["who"], "node2");
}

TEST_F(AuditFile, StrangersCannotFillTheDisk) {
    for (int i = 0; i < 10000; ++i)
        audit_.stranger({{"who", "192.0.2.1"}});
    // What acts is always written.
    audit_.action({{"who", "node1"}});
    const auto lines = read_audit(paths_);
    EXPECT_GE(lines.size(), 21U);
    EXPECT_LE(lines.size(), 40U);
    EXPECT_EQ(lines.back()["who"], "node1");
}

}  // namespace
}  // namespace kz::rad
