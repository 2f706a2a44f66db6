#include "agent/messages.h"

#include <gtest/gtest.h>

namespace kz::agent {
namespace {

// Whole it is read; with a byte less or more it is refused.
template <typename T>
void check(const T& message, std::optional<T> (*decode)(std::string_view)) {
    const std::string payload = encode(message);
    EXPECT_EQ(decode(payload), message);
    EXPECT_FALSE(decode(payload + '\0'));
    for (std::size_t length = 0; length < payload.size(); ++length)
        EXPECT_FALSE(decode(std::string_view(payload).substr(0, length))) << length;
}

TEST(Messages, AreReadAsTheyWereWritten) {
    check(Hello{1, 0xfedcba9876543210, true, 42}, decode_hello);
    check(Welcome{1, 7, "kz-agent 0.1.0"}, decode_welcome);
    check(Open{OpenKind::login, "root", "xterm-256color", {50, 132}, ""}, decode_open);
    check(Open{OpenKind::failsafe, "", "", {0, 0}, "ls"}, decode_open);
    check(Exited{false, 255}, decode_exited);
    check(Exited{true, 9}, decode_exited);
    check(Call{Operation::freeze, 30}, decode_call);
    check(Answer{16, 3, "busy"}, decode_answer);
    check(Notice{true, {{"eth0", "192.0.2.1/24"}}}, decode_notice);
    check(WindowSize{1, 65535}, decode_window_size);
}

TEST(Messages, ValuesOutOfRangeAreRefused) {
    EXPECT_FALSE(decode_hello(encode(Hello{0, 1, false, 0})));
    EXPECT_FALSE(decode_open(encode(Open{OpenKind::command, "root", "", {}, ""})));
    EXPECT_FALSE(decode_open(encode(Open{OpenKind::login, "root", "", {}, "ls"})));
    EXPECT_FALSE(decode_open(encode(Open{static_cast<OpenKind>(4), "root", "", {}, ""})));
    EXPECT_FALSE(decode_open(encode(Open{OpenKind::login, std::string("ro\0ot", 5), "", {}, ""})));
    EXPECT_FALSE(decode_open(encode(Open{OpenKind::login, std::string(kMaxName + 1, 'x'), "", {}, ""})));
    EXPECT_FALSE(
        decode_open(encode(Open{OpenKind::command, "root", "", {}, std::string(kMaxCommand + 1, 'x')})));
    EXPECT_FALSE(decode_call(encode(Call{static_cast<Operation>(6), 0})));
    EXPECT_FALSE(decode_number(encode_number(0)));
    EXPECT_FALSE(decode_signal(std::string(1, '\0')));
    EXPECT_FALSE(decode_signal("A"));
    EXPECT_FALSE(decode_exited("\x03\x01"));
    EXPECT_FALSE(decode_notice(encode(Notice{true, std::vector<Address>(kMaxAddresses + 1)})));
}

// A guest writes to the administrator's terminal only what cannot do anything there.
TEST(Messages, TextsForPeopleArePrintable) {
    const auto answer = decode_answer(encode(Answer{1, 0, "\x1b[2Jgone\n\xff"}));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->text, "?[2Jgone??");
    EXPECT_EQ(decode_text(encode_text("pts/\x07")), "pts/?");
    const auto notice = decode_notice(encode(Notice{false, {{"e\x1bth", "192.0.2.1\n"}}}));
    ASSERT_TRUE(notice);
    EXPECT_EQ(notice->addresses[0], (Address{"e?th", "192.0.2.1?"}));
    EXPECT_EQ(encode_text(std::string(1000, 'x')).size(), 2 + kMaxReason);
}

}  // namespace
}  // namespace kz::agent
