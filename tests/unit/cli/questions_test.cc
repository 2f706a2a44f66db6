#include "cli/questions.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <future>

#include "os/io.h"
#include "os/socket.h"

namespace kz::cli {
namespace {

using namespace std::chrono_literals;

class Questions : public testing::Test {
  protected:
    void SetUp() override {
        int leader = -1;
        int terminal = -1;
        ASSERT_EQ(::openpty(&leader, &terminal, nullptr, nullptr, nullptr), 0);
        leader_.reset(leader);
        terminal_.reset(::dup(terminal));
        questions_.emplace(UniqueFd(terminal));
    }
    // What is seen on the screen, up to `end`.
    std::string see(std::string_view end) {
        std::string seen;
        std::array<Byte, 256> chunk;
        while (!seen.ends_with(end)) {
            const auto got = read_some(leader_.get(), chunk, Deadline::after(20s));
            if (!got || *got == 0) break;
            seen += as_text(ByteView(chunk).first(*got));
        }
        return seen;
    }
    void type(std::string_view text) {
        ASSERT_TRUE(write_all(leader_.get(), as_bytes(text), Deadline::after(20s)).has_value());
    }
    bool echoes() const {
        termios settings{};
        ::tcgetattr(terminal_.get(), &settings);
        return (settings.c_lflag & static_cast<tcflag_t>(ECHO)) != 0;
    }

    UniqueFd leader_;
    UniqueFd terminal_;
    std::optional<QuestionTerminal> questions_;
};

TEST_F(Questions, AreShownAndAnswered) {
    auto answer = std::async(std::launch::async, [&] { return questions_->ask("(yes/no)? ", -1); });
    EXPECT_EQ(see("? "), "(yes/no)? ");
    type("yes\n");
    EXPECT_EQ(answer.get().value(), "yes");
    EXPECT_EQ(see("\n"), "yes\r\n");
}

TEST_F(Questions, APasswordIsNeverShown) {
    auto answer = std::async(std::launch::async, [&] { return questions_->ask_password("Password: ", -1); });
    EXPECT_EQ(see(": "), "Password: ");
    EXPECT_FALSE(echoes());
    type("open sesame\n");
    EXPECT_EQ(as_text(answer.get().value().view()), "open sesame");
    EXPECT_TRUE(echoes());
    EXPECT_EQ(see("\n"), "\r\n");
}

TEST_F(Questions, AnInterruptLeavesTheTerminalAsItWas) {
    const EventFd cancel = EventFd::create().value();
    auto answer =
        std::async(std::launch::async, [&] { return questions_->ask_password("Password: ", cancel.fd()); });
    see(": ");
    cancel.signal();
    EXPECT_EQ(answer.get().error().code(), Errc::cancelled);
    EXPECT_TRUE(echoes());
}

TEST_F(Questions, TheEndOfTheInputIsNoAnswer) {
    auto answer = std::async(std::launch::async, [&] { return questions_->ask("name? ", -1); });
    see("? ");
    type("\x04");
    EXPECT_EQ(answer.get().error().code(), Errc::cancelled);
}

TEST_F(Questions, AnEndlessAnswerIsRefused) {
    auto answer = std::async(std::launch::async, [&] { return questions_->ask("name? ", -1); });
    see("? ");
    type(std::string(1000, 'x') + "\n");
    EXPECT_EQ(answer.get().error().code(), Errc::invalid_argument);
}

TEST(QuestionTerminalTest, AScriptIsAskedNothing) {
    const UniqueFd saved(::dup(STDIN_FILENO));
    const auto pair = unix_socket_pair().value();
    ::dup2(pair.first.get(), STDIN_FILENO);
    const auto terminal = QuestionTerminal::open();
    ::dup2(saved.get(), STDIN_FILENO);
    ASSERT_FALSE(terminal.has_value());
    EXPECT_EQ(terminal.error().code(), Errc::unavailable);
}

}  // namespace
}  // namespace kz::cli
