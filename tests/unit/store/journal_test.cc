#include "store/journal.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "../support/temp_folder.h"
#include "os/file.h"

namespace kz::store {
namespace {

class JournalTest : public testing::Test {
  protected:
    Path file() const { return paths_.log_dir() / "journal.jsonl"; }
    void add_line(const std::string& line) const {
        std::ofstream(file(), std::ios::app | std::ios::binary) << line << "\n";
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
};

TEST_F(JournalTest, WithoutAFileNothingHappenedYet) {
    EXPECT_TRUE(read_journal(paths_, "ant1").value().empty());
    EXPECT_FALSE(std::filesystem::exists(paths_.log_dir())) << "reading makes nothing";
}

TEST_F(JournalTest, EntriesOfAZoneOldestFirst) {
    ASSERT_TRUE(append_journal(paths_, "ant1", "suspend", {{"bytes", 7}}).has_value());
    ASSERT_TRUE(append_journal(paths_, "bee", "live", {{"bytes", 8}}).has_value());
    ASSERT_TRUE(append_journal(paths_, "ant1", "resume", Json::object()).has_value());
    const std::vector<Json> entries = read_journal(paths_, "ant1").value();
    ASSERT_EQ(entries.size(), 2U);
    EXPECT_EQ(entries[0]["move"], "suspend");
    EXPECT_EQ(entries[0]["bytes"], 7);
    EXPECT_EQ(entries[0]["zone"], "ant1");
    EXPECT_TRUE(entries[0]["when"].is_string());
    EXPECT_EQ(entries[1]["move"], "resume");
    EXPECT_EQ(read_journal(paths_, "bee").value().size(), 1U);
    EXPECT_TRUE(read_journal(paths_, "ant").value().empty()) << "a name that begins alike is another zone";
    EXPECT_EQ(std::filesystem::status(file()).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(JournalTest, LinesThatCannotBeReadAreLeftOut) {
    ASSERT_TRUE(append_journal(paths_, "ant1", "suspend", Json::object()).has_value());
    for (const char* line :
         {"", "not json", "[1]", "5", R"({"zone":5})", R"({"move":"live"})", R"({"zone":"ant1")"})
        add_line(line);
    add_line(std::string(100, '\0'));
    ASSERT_TRUE(append_journal(paths_, "ant1", "resume", Json::object()).has_value());
    const std::vector<Json> entries = read_journal(paths_, "ant1").value();
    ASSERT_EQ(entries.size(), 2U);
    EXPECT_EQ(entries[1]["move"], "resume");
}

TEST_F(JournalTest, TheLastThousandAreKept) {
    ASSERT_TRUE(make_directories(paths_.log_dir(), 0755).has_value());
    for (int number = 0; number < 1005; ++number)
        add_line(fmt::format(R"({{"zone":"ant1","number":{}}})", number));
    const std::vector<Json> entries = read_journal(paths_, "ant1").value();
    ASSERT_EQ(entries.size(), 1000U);
    EXPECT_EQ(entries.front()["number"], 5);
    EXPECT_EQ(entries.back()["number"], 1004);
}

TEST_F(JournalTest, MonitorsWriteAtTheSameTime) {
    {
        std::vector<std::jthread> writers;
        for (int writer = 0; writer < 4; ++writer) {
            writers.emplace_back([this, writer] {
                for (int number = 0; number < 50; ++number)
                    EXPECT_TRUE(append_journal(paths_, fmt::format("z{}", writer), "live",
                                               {{"filler", std::string(3000, 'x')}})
                                    .has_value());
            });
        }
    }
    for (int writer = 0; writer < 4; ++writer)
        EXPECT_EQ(read_journal(paths_, fmt::format("z{}", writer)).value().size(), 50U);
}

TEST_F(JournalTest, NamesCannotBreakTheFormat) {
    ASSERT_TRUE(
        append_journal(paths_, "ant1", "live", {{"peer", "a\"}\n{\"zone\":\"ant1\"}\xff"}}).has_value());
    EXPECT_EQ(read_journal(paths_, "ant1").value().size(), 1U);
}

TEST_F(JournalTest, AFolderThatCannotBeMadeIsAnError) {
    std::ofstream(folder_.path() / "var") << "in the way";
    EXPECT_FALSE(append_journal(paths_, "ant1", "live", Json::object()).has_value());
}

}  // namespace
}  // namespace kz::store
