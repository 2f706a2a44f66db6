#include "cli/terminal.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <utility>

#include "base/fd.h"

namespace kz::cli {
namespace {

// stdin is another descriptor while it lives.
class Stdin {
  public:
    explicit Stdin(int fd) : saved_(::dup(STDIN_FILENO)) { ::dup2(fd, STDIN_FILENO); }
    ~Stdin() { ::dup2(saved_.get(), STDIN_FILENO); }
    Stdin(const Stdin&) = delete;
    Stdin& operator=(const Stdin&) = delete;

  private:
    UniqueFd saved_;
};

TEST(RawTerminalTest, IsRawWhileItLivesAndThenAsBefore) {
    int leader = -1;
    int terminal = -1;
    ASSERT_EQ(::openpty(&leader, &terminal, nullptr, nullptr, nullptr), 0);
    const UniqueFd leader_fd(leader);
    const UniqueFd terminal_fd(terminal);
    termios before{};
    ASSERT_EQ(::tcgetattr(terminal, &before), 0);
    ASSERT_NE(before.c_lflag & static_cast<tcflag_t>(ICANON | ECHO | ISIG), 0U);
    const Stdin input(terminal);
    {
        const RawTerminal raw;
        EXPECT_EQ(raw.line_end(), "\r\n");
        termios within{};
        ASSERT_EQ(::tcgetattr(terminal, &within), 0);
        // ^C and ^D are keys for the zone.
        EXPECT_EQ(within.c_lflag & static_cast<tcflag_t>(ICANON | ECHO | ISIG | IEXTEN), 0U);
    }
    termios after{};
    ASSERT_EQ(::tcgetattr(terminal, &after), 0);
    EXPECT_EQ(after.c_lflag, before.c_lflag);
    EXPECT_EQ(after.c_iflag, before.c_iflag);
    EXPECT_EQ(after.c_oflag, before.c_oflag);
}

TEST(RawTerminalTest, WithoutATerminalNothingHappens) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const UniqueFd read_end(ends[0]);
    const UniqueFd write_end(ends[1]);
    const Stdin input(read_end.get());
    const RawTerminal raw;
    EXPECT_EQ(raw.line_end(), "\n");
    ASSERT_EQ(::write(write_end.get(), "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(::read(STDIN_FILENO, &byte, 1), 1);
    EXPECT_EQ(byte, 'x');
}

}  // namespace
}  // namespace kz::cli
