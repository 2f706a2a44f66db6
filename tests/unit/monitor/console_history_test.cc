#include "monitor/console_history.h"

#include <gtest/gtest.h>

#include <fstream>

#include "../support/temp_folder.h"
#include "os/file.h"

namespace kz::monitor {
namespace {

constexpr std::size_t kKept = 64 * 1024;
constexpr std::size_t kHeader = 64;

// Bytes that differ from their neighbours at every distance that matters here.
std::string pattern(std::size_t from, std::size_t length) {
    std::string text(length, '\0');
    for (std::size_t i = 0; i < length; ++i)
        text[i] = static_cast<char>(((from + i) * 2654435761U) >> 13);
    return text;
}

class ConsoleHistoryTest : public testing::Test {
  protected:
    ConsoleHistory open() const { return ConsoleHistory::open(file_).value(); }
    static std::string read(const ConsoleHistory& history, std::uint64_t position, std::size_t cap = kKept) {
        return std::string(as_text(history.read(position, cap)));
    }
    std::string content() const { return read_file(file_, 1 << 20).value(); }
    void write(const std::string& bytes) const {
        std::ofstream(file_, std::ios::binary | std::ios::trunc) << bytes;
    }

    test::TempFolder folder_;
    Path file_ = folder_.path() / "console.history";
};

TEST_F(ConsoleHistoryTest, BeginsEmptyAtZero) {
    const ConsoleHistory history = open();
    EXPECT_EQ(history.begin(), 0U);
    EXPECT_EQ(history.end(), 0U);
    EXPECT_EQ(read(history, 0), "");
    EXPECT_EQ(read(history, 12345), "");
    EXPECT_EQ(std::filesystem::status(file_).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(ConsoleHistoryTest, ReadsFromAnyPositionUpToTheCap) {
    ConsoleHistory history = open();
    history.append(as_bytes("hello "));
    history.append({});
    history.append(as_bytes("world"));
    EXPECT_EQ(history.end(), 11U);
    EXPECT_EQ(read(history, 0), "hello world");
    EXPECT_EQ(read(history, 6), "world");
    EXPECT_EQ(read(history, 6, 3), "wor");
    EXPECT_EQ(read(history, 11), "");
    EXPECT_EQ(read(history, 99), "");
    EXPECT_EQ(read(history, 0, 0), "");
}

TEST_F(ConsoleHistoryTest, KeepsTheLast64KiBAroundTheWrap) {
    ConsoleHistory history = open();
    const std::string all = pattern(0, 3 * kKept + 17);
    for (std::size_t at = 0; at < all.size(); at += 1000)
        history.append(as_bytes(std::string_view(all).substr(at, 1000)));
    EXPECT_EQ(history.end(), all.size());
    EXPECT_EQ(history.begin(), all.size() - kKept);
    EXPECT_EQ(read(history, 0), all.substr(all.size() - kKept))
        << "an older position is moved to the oldest kept";
    EXPECT_EQ(read(history, all.size() - 20), all.substr(all.size() - 20)) << "across the end of the ring";
    EXPECT_EQ(read(history, history.begin(), 10), all.substr(history.begin(), 10));
}

TEST_F(ConsoleHistoryTest, OneAppendMayBeLargerThanTheRing) {
    ConsoleHistory history = open();
    const std::string all = pattern(5, 2 * kKept + 4321);
    history.append(as_bytes(all));
    EXPECT_EQ(history.end(), all.size());
    EXPECT_EQ(read(history, 0), all.substr(all.size() - kKept));
}

TEST_F(ConsoleHistoryTest, TheNextMonitorFindsIt) {
    const std::string all = pattern(0, kKept + 777);
    {
        ConsoleHistory history = open();
        history.append(as_bytes(all));
    }
    ConsoleHistory history = open();
    EXPECT_EQ(history.end(), all.size());
    EXPECT_EQ(read(history, 0), all.substr(777));
    history.append(as_bytes("more"));
    EXPECT_EQ(read(history, all.size()), "more");
}

// The layout that the header describes, byte by byte: another version reads it.
TEST_F(ConsoleHistoryTest, LayoutOfTheFile) {
    {
        ConsoleHistory history = open();
        history.append(as_bytes(pattern(0, kKept)));
        history.append(as_bytes("abc"));
    }
    std::string expected = "KZCONS01";
    expected += std::string("\x03\x00\x01\x00\x00\x00\x00\x00", 8);
    expected += std::string(48, '\0');
    expected += "abc" + pattern(3, kKept - 3);
    EXPECT_EQ(content(), expected);
}

TEST_F(ConsoleHistoryTest, RestoreGoesOnWhereAnotherHostWas) {
    ConsoleHistory history = open();
    history.append(as_bytes("of an earlier life"));
    history.restore(as_bytes("from there"), 1'000'003);
    EXPECT_EQ(history.end(), 1'000'003U);
    EXPECT_EQ(history.begin(), 1'000'003U - 10);
    EXPECT_EQ(read(history, 0), "from there") << "what this host had kept is not part of it";
    history.append(as_bytes("!"));
    EXPECT_EQ(read(history, 1'000'003 - 5), "there!");
    const ConsoleHistory again = open();
    EXPECT_EQ(again.end(), 1'000'004U);
}

TEST_F(ConsoleHistoryTest, RestoreTakesNoMoreThanFits) {
    ConsoleHistory history = open();
    const std::string all = pattern(9, kKept + 100);
    history.restore(as_bytes(all), 5'000'000);
    EXPECT_EQ(history.end(), 5'000'000U);
    EXPECT_EQ(read(history, 0), all.substr(100));
    // A peer that claims an end before its own bytes.
    history.restore(as_bytes("0123456789"), 4);
    EXPECT_EQ(history.begin(), 0U);
    EXPECT_EQ(history.end(), 4U);
    EXPECT_EQ(read(history, 0), "6789");
    history.restore({}, 0);
    EXPECT_EQ(history.end(), 0U);
}

TEST_F(ConsoleHistoryTest, EveryEndThatAPeerMayClaimIsSurvived) {
    for (const std::uint64_t end : {UINT64_MAX, UINT64_MAX - 3, std::uint64_t{1} << 63}) {
        ConsoleHistory history = open();
        history.restore(as_bytes("abcdef"), end);
        history.append(as_bytes("0123456789"));
        EXPECT_LE(read(history, 0).size(), kKept);
        EXPECT_LE(read(history, end).size(), kKept);
    }
}

TEST_F(ConsoleHistoryTest, AFileThatIsNoneBeginsAnew) {
    const std::string good = "KZCONS01" + std::string(kHeader - 8 + kKept, 'x');
    for (const std::string& bytes : {std::string(), std::string("KZCONS01"), good + "x", good.substr(1),
                                     "KZCONS02" + good.substr(8), std::string(kHeader + kKept, '\0')}) {
        write(bytes);
        ConsoleHistory history = open();
        EXPECT_EQ(history.end(), 0U);
        history.append(as_bytes("new"));
        EXPECT_EQ(read(history, 0), "new");
        EXPECT_EQ(content().size(), kHeader + kKept);
    }
}

TEST_F(ConsoleHistoryTest, AnyEndInADamagedFileIsSurvived) {
    for (const char byte : {'\x7f', '\xff'}) {
        write("KZCONS01" + std::string(8, byte) + std::string(48 + kKept, 'x'));
        ConsoleHistory history = open();
        EXPECT_EQ(read(history, 0), std::string(kKept, 'x'));
        history.append(as_bytes("more"));
        EXPECT_LE(read(history, 0).size(), kKept);
    }
}

TEST_F(ConsoleHistoryTest, AFolderThatIsMissingIsAnError) {
    const auto history = ConsoleHistory::open(folder_.path() / "none/console.history");
    ASSERT_FALSE(history.has_value());
    EXPECT_EQ(history.error().code(), Errc::not_found);
}

}  // namespace
}  // namespace kz::monitor
