#include "storage/chap_secrets.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

using namespace kz;
using namespace kz::storage;
using testing::HasSubstr;
using testing::Not;

namespace {

std::string password_of(const ChapLogin* login) {
    return login == nullptr ? "(none)" : std::string(as_text(login->password.view()));
}

TEST(ChapSecrets, TheMostSpecificLineCounts) {
    const auto secrets = ChapSecrets::parse(as_bytes("* any last\n"
                                                     "# a comment\n"
                                                     "\n"
                                                     "Storage1 node1 of-host\r\n"
                                                     "  iqn.2026-11.org.x:Disk\tnode1   of-target  \n"))
                             .value();
    EXPECT_EQ(password_of(secrets.find("iqn.2026-11.org.x:disk", "storage1")), "of-target");
    EXPECT_EQ(password_of(secrets.find("IQN.2026-11.ORG.X:DISK", "elsewhere")), "of-target");
    EXPECT_EQ(password_of(secrets.find("iqn.2026-11.org.x:other", "STORAGE1")), "of-host");
    EXPECT_EQ(password_of(secrets.find("", "storage1")), "of-host");
    EXPECT_EQ(password_of(secrets.find("iqn.2026-11.org.x:other", "storage2")), "last");
    EXPECT_EQ(secrets.find("", "storage1")->user, "node1");
    EXPECT_EQ(password_of(ChapSecrets{}.find("iqn.x", "storage1")), "(none)");
}

TEST(ChapSecrets, ErrorsNameTheLineAndNeverItsText) {
    const std::string long_word(256, 'p');
    for (const auto& [text, line] : {std::pair<std::string, const char*>{"* user\n", "line 1"},
                                     {"* user secretword more\n", "line 1"},
                                     {"# x\n\n* user secretword\n*  user secretword\n", "line 4"},
                                     {"* user " + long_word + "\n", "line 1"},
                                     {std::string("* user secret\0word\n", 19), "line 1"}}) {
        const auto secrets = ChapSecrets::parse(as_bytes(text));
        ASSERT_FALSE(secrets) << text;
        EXPECT_EQ(secrets.error().code(), Errc::invalid_argument);
        EXPECT_THAT(secrets.error().message(), HasSubstr(line));
        EXPECT_THAT(secrets.error().message(), Not(HasSubstr("secretword")));
    }
    EXPECT_TRUE(ChapSecrets::parse(as_bytes("* user " + std::string(255, 'p'))));
}

TEST(ChapSecrets, HasALimitOfLines) {
    std::string text;
    for (std::size_t i = 0; i < kMaxChapEntries; ++i)
        text += "host" + std::to_string(i) + " user password\n";
    EXPECT_TRUE(ChapSecrets::parse(as_bytes(text)));
    EXPECT_THAT(ChapSecrets::parse(as_bytes(text + "one-more user password\n")).error().message(),
                HasSubstr("more than"));
}

class ChapFile : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/kz-chap-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        folder_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::filesystem::path file(const std::string& content, mode_t mode) {
        const auto path = folder_ / "iscsi-chap";
        std::ofstream(path) << content;
        ::chmod(path.c_str(), mode);
        return path;
    }
    std::filesystem::path folder_;
};

TEST_F(ChapFile, NobodyElseMayReadIt) {
    for (const mode_t mode : {0600U, 0400U})
        EXPECT_EQ(password_of(ChapSecrets::load(file("* u p\n", mode))->find("iqn.x", "h")), "p");
    for (const mode_t mode : {0640U, 0604U, 0620U, 0601U, 0666U}) {
        const auto secrets = ChapSecrets::load(file("* u p\n", mode));
        ASSERT_FALSE(secrets) << mode;
        EXPECT_EQ(secrets.error().code(), Errc::permission);
        EXPECT_THAT(secrets.error().message(), HasSubstr("chmod 600"));
    }
}

TEST_F(ChapFile, MayBeMissingButNotSomethingElseOrTooLarge) {
    EXPECT_EQ(ChapSecrets::load(folder_ / "none")->find("iqn.x", "h"), nullptr);
    EXPECT_EQ(ChapSecrets::load({})->find("iqn.x", "h"), nullptr);
    EXPECT_EQ(ChapSecrets::load(folder_).error().code(), Errc::invalid_argument);
    const auto large = ChapSecrets::load(file(std::string(kMaxChapFile + 1, '\n'), 0600));
    EXPECT_EQ(large.error().code(), Errc::invalid_argument);
    EXPECT_TRUE(ChapSecrets::load(file(std::string(kMaxChapFile, '\n'), 0600)));
    const auto malformed = ChapSecrets::load(file("* u\n", 0600));
    EXPECT_THAT(malformed.error().message(), HasSubstr("iscsi-chap: line 1"));
}

}  // namespace
