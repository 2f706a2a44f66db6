#include "monitor/console.h"

#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <functional>
#include <thread>

#include "../support/temp_folder.h"
#include "base/json.h"
#include "os/socket.h"

namespace kz::monitor {
namespace {

using namespace std::chrono_literals;

Deadline soon() {
    return Deadline::after(20s);
}

std::string text_of(std::size_t number, std::size_t length) {
    std::string text;
    while (text.size() < length)
        text += fmt::format("line {} of this guest\r\n", number + text.size());
    text.resize(length);
    return text;
}

void write_text(int fd, std::string_view text) {
    ASSERT_TRUE(write_all(fd, as_bytes(text), soon()).has_value());
}

std::string read_text(int fd, std::size_t length) {
    Bytes bytes(length);
    const Result<void> got = read_exact(fd, bytes, soon());
    return got ? std::string(as_text(bytes)) : "error: " + got.error().message();
}

bool has_ended(int fd) {
    Byte byte{};
    const Result<std::size_t> got = read_some(fd, MutableBytes(&byte, 1), soon());
    return got ? *got == 0 : got.error().code() != Errc::timeout;
}

bool is_readable(int fd) {
    pollfd polled{fd, POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
}

void await(const std::function<bool()>& condition) {
    const Deadline deadline = soon();
    while (!condition()) {
        ASSERT_FALSE(deadline.passed());
        std::this_thread::yield();
    }
}

// What is at QEMU's end of the two lines.
struct Guest {
    UniqueFd hvc;
    UniqueFd serial;
};

struct User {
    UniqueFd fd;
    std::uint64_t position = 0;
};

class ConsoleTest : public testing::Test {
  protected:
    void SetUp() override { console_ = open(); }

    std::unique_ptr<Console> open() const {
        return Console::open(folder_.path() / "history", socket_).value();
    }
    Guest boot() const {
        auto hvc = unix_socket_pair().value();
        auto serial = unix_socket_pair().value();
        console_->attach(std::move(hvc.first), std::move(serial.first));
        return {std::move(hvc.second), std::move(serial.second)};
    }
    UniqueFd connect_raw() const { return unix_connect(socket_, soon()).value(); }
    User connect(const Json& from = nullptr) const {
        User user{connect_raw()};
        EXPECT_TRUE(send_message(user.fd.get(), render_json({{"from", from}}), {}, soon()).has_value());
        const Result<Message> answer = receive_message(user.fd.get(), soon());
        EXPECT_TRUE(answer.has_value());
        if (answer) user.position = json_u64(parse_json(answer->text).value(), "position").value();
        return user;
    }
    // Until the console has taken in that many bytes.
    void await_end(std::uint64_t end) const {
        await([&] { return console_->snapshot().end >= end; });
    }

    test::TempFolder folder_;
    Path socket_ = folder_.path() / "console.sock";
    std::unique_ptr<Console> console_;
};

TEST_F(ConsoleTest, ANewUserSeesWhatWasAndWhatComes) {
    const Guest guest = boot();
    write_text(guest.hvc.get(), "before ");
    await_end(7);
    const User user = connect();
    EXPECT_EQ(user.position, 0U);
    EXPECT_EQ(read_text(user.fd.get(), 7), "before ");
    write_text(guest.hvc.get(), "after");
    EXPECT_EQ(read_text(user.fd.get(), 5), "after");
}

TEST_F(ConsoleTest, BothLinesOfTheGuestAreShown) {
    const Guest guest = boot();
    const User user = connect();
    write_text(guest.serial.get(), "boot loader\r\n");
    EXPECT_EQ(read_text(user.fd.get(), 13), "boot loader\r\n");
    write_text(guest.hvc.get(), "login: ");
    EXPECT_EQ(read_text(user.fd.get(), 7), "login: ");
}

TEST_F(ConsoleTest, WhatIsTypedGoesToTheConsoleAlone) {
    const Guest guest = boot();
    const User one = connect();
    const User other = connect();
    write_text(one.fd.get(), "ls\r");
    EXPECT_EQ(read_text(guest.hvc.get(), 3), "ls\r");
    write_text(other.fd.get(), "pwd\r");
    EXPECT_EQ(read_text(guest.hvc.get(), 4), "pwd\r");
    EXPECT_FALSE(is_readable(guest.serial.get()));
    // What the guest does not echo, nobody sees.
    EXPECT_EQ(console_->snapshot().end, 0U);
}

TEST_F(ConsoleTest, WhatIsTypedWithoutAMachineIsDropped) {
    const User user = connect();
    write_text(user.fd.get(), "rm -rf /\r");
    await([&] {
        int unread = 1;
        return ::ioctl(user.fd.get(), SIOCOUTQ, &unread) == 0 && unread == 0;
    });
    const Guest guest = boot();
    write_text(user.fd.get(), "ls\r");
    EXPECT_EQ(read_text(guest.hvc.get(), 3), "ls\r");
}

TEST_F(ConsoleTest, AUserWhoComesBackLosesAndRepeatsNothing) {
    const Guest guest = boot();
    std::string sent;
    std::string seen;
    User user = connect();
    for (std::size_t round = 0; round < 40; ++round) {
        const std::string part = text_of(round, 1000 + 517 * round);
        write_text(guest.hvc.get(), part);
        sent += part;
        // A part of it, and then the connection is lost.
        seen += read_text(user.fd.get(), part.size() / (1 + round % 3));
        if (round % 2 == 0) {
            await_end(sent.size());
            user = connect(seen.size());
            EXPECT_EQ(user.position, seen.size());
        }
        seen += read_text(user.fd.get(), sent.size() - seen.size());
    }
    EXPECT_EQ(seen, sent);
}

TEST_F(ConsoleTest, PositionsOutsideOfWhatIsKeptAreMovedIntoIt) {
    const Guest guest = boot();
    const std::string all = text_of(0, kConsoleHistoryBytes + 5000);
    write_text(guest.hvc.get(), all);
    await_end(all.size());
    const User early = connect(17);
    EXPECT_EQ(early.position, 5000U);
    EXPECT_EQ(read_text(early.fd.get(), kConsoleHistoryBytes), all.substr(5000));
    const User late = connect(1ULL << 40);
    EXPECT_EQ(late.position, all.size());
    write_text(guest.hvc.get(), "next");
    EXPECT_EQ(read_text(late.fd.get(), 4), "next");
}

TEST_F(ConsoleTest, SixteenUsersAndNoMore) {
    const Guest guest = boot();
    std::vector<User> users;
    for (int i = 0; i < 16; ++i)
        users.push_back(connect());
    const UniqueFd refused = connect_raw();
    EXPECT_TRUE(has_ended(refused.get()));
    const std::string text = text_of(0, 20000);
    write_text(guest.hvc.get(), text);
    for (const User& user : users)
        EXPECT_EQ(read_text(user.fd.get(), text.size()), text);
    users.pop_back();
    // The place is free as soon as the console has seen the end.
    await([&] {
        const UniqueFd fd = connect_raw();
        return send_message(fd.get(), R"({"from":null})", {}, soon()) && receive_message(fd.get(), soon());
    });
}

TEST_F(ConsoleTest, AUserWhoNeverReadsDelaysNobody) {
    const Guest guest = boot();
    const User sleeper = connect();
    const User reader = connect();
    std::string sent;
    // Far more than the sockets of the sleeper can hold.
    for (std::size_t round = 0; round < 64; ++round) {
        const std::string part = text_of(round, 32 * 1024);
        write_text(guest.hvc.get(), part);
        ASSERT_EQ(read_text(reader.fd.get(), part.size()), part);
        sent += part;
    }
    write_text(reader.fd.get(), "still here\r");
    EXPECT_EQ(read_text(guest.hvc.get(), 11), "still here\r");
    EXPECT_EQ(read_text(sleeper.fd.get(), 100), sent.substr(0, 100));
}

TEST_F(ConsoleTest, ANoticeIsSeenByEverybodyAndKept) {
    const std::string notice = "\r\n[NOTICE: Zone booting up]\r\n";
    const User one = connect();
    const User other = connect();
    console_->notice("booting up");
    EXPECT_EQ(read_text(one.fd.get(), notice.size()), notice);
    EXPECT_EQ(read_text(other.fd.get(), notice.size()), notice);
    EXPECT_EQ(read_text(connect().fd.get(), notice.size()), notice);
}

TEST_F(ConsoleTest, DrainTakesInWhatAMachineThatEndedHadStillWritten) {
    Guest guest = boot();
    const std::string text = text_of(0, 50000);
    write_text(guest.hvc.get(), text);
    guest.hvc.reset();
    guest.serial.reset();
    console_->drain(soon());
    EXPECT_EQ(as_text(console_->snapshot().history), text);
}

TEST_F(ConsoleTest, DrainLetsGoOfAMachineThatDoesNotEnd) {
    const Guest guest = boot();
    console_->drain(Deadline::after(30ms));
    EXPECT_TRUE(has_ended(guest.hvc.get()));
    EXPECT_TRUE(has_ended(guest.serial.get()));
}

TEST_F(ConsoleTest, TheNextMachineTakesThePlaceOfTheOneBefore) {
    const Guest old = boot();
    const User user = connect();
    const Guest fresh = boot();
    EXPECT_TRUE(has_ended(old.hvc.get()));
    write_text(fresh.hvc.get(), "again");
    EXPECT_EQ(read_text(user.fd.get(), 5), "again");
    write_text(user.fd.get(), "x");
    EXPECT_EQ(read_text(fresh.hvc.get(), 1), "x");
}

TEST_F(ConsoleTest, FlushWaitsUntilEverybodyHasEverything) {
    const std::string notice = "\r\n[NOTICE: Zone halted]\r\n";
    const User user = connect();
    console_->notice("halted");
    console_->flush(soon());
    std::array<char, 100> buffer{};
    const ssize_t got = ::recv(user.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    EXPECT_EQ(got, static_cast<ssize_t>(notice.size()));
}

TEST_F(ConsoleTest, FlushGivesUpOnAUserWhoDoesNotRead) {
    const Guest guest = boot();
    const User sleeper = connect();
    const User reader = connect();
    for (std::size_t round = 0; round < 64; ++round) {
        write_text(guest.hvc.get(), text_of(round, 32 * 1024));
        ASSERT_EQ(read_text(reader.fd.get(), 32 * 1024).size(), 32U * 1024);
    }
    console_->flush(Deadline::after(30ms));
    EXPECT_EQ(console_->snapshot().end, 64U * 32 * 1024);
}

TEST_F(ConsoleTest, TheConsoleMovesToAnotherHost) {
    const Guest guest = boot();
    const std::string all = text_of(0, kConsoleHistoryBytes + 999);
    write_text(guest.hvc.get(), all);
    await_end(all.size());
    const Console::Snapshot snapshot = console_->snapshot();
    EXPECT_EQ(snapshot.end, all.size());
    EXPECT_EQ(as_text(snapshot.history), all.substr(999));

    const auto there = Console::open(folder_.path() / "there", folder_.path() / "there.sock").value();
    there->restore(snapshot);
    there->notice("resuming");
    const std::string shown = all + "\r\n[NOTICE: Zone resuming]\r\n";
    EXPECT_EQ(there->snapshot().end, shown.size());
    EXPECT_EQ(as_text(there->snapshot().history), shown.substr(shown.size() - kConsoleHistoryBytes));
}

TEST_F(ConsoleTest, AUserWhoHasReadItIsNotShownWhatComesWithAZoneThatReturns) {
    console_->notice("of an earlier stay");
    console_->expect_history();
    const User returned = connect(1000);
    const User fresh = connect();
    EXPECT_EQ(returned.position, 1000U);
    console_->restore({Bytes(as_bytes("seen").begin(), as_bytes("seen").end()), 1000});
    console_->notice("resuming");
    const std::string resuming = "\r\n[NOTICE: Zone resuming]\r\n";
    EXPECT_EQ(read_text(returned.fd.get(), resuming.size()), resuming);
    EXPECT_EQ(read_text(fresh.fd.get(), 4 + resuming.size()), "seen" + resuming);
}

TEST_F(ConsoleTest, AUserAheadOfWhatCameGoesOnAtItsEnd) {
    console_->expect_history();
    const User user = connect(5000);
    console_->restore({{}, 1000});
    console_->notice("resuming");
    const std::string resuming = "\r\n[NOTICE: Zone resuming]\r\n";
    EXPECT_EQ(read_text(user.fd.get(), resuming.size()), resuming);
}

TEST_F(ConsoleTest, AUserStaysThroughTheNextMonitor) {
    const User before = connect();
    console_->notice("halted");
    console_->flush(soon());
    console_.reset();
    EXPECT_FALSE(std::filesystem::exists(socket_));
    console_ = open();
    console_->notice("booting up");
    const std::string halted = "\r\n[NOTICE: Zone halted]\r\n";
    EXPECT_EQ(read_text(before.fd.get(), halted.size()), halted) << "given before the first monitor ended";
    EXPECT_TRUE(has_ended(before.fd.get()));
    const User after = connect(before.position + halted.size());
    const std::string booting = "\r\n[NOTICE: Zone booting up]\r\n";
    EXPECT_EQ(after.position, halted.size());
    EXPECT_EQ(read_text(after.fd.get(), booting.size()), booting);
}

TEST_F(ConsoleTest, AHelloThatIsNoneEndsTheConnectionOnly) {
    const Guest guest = boot();
    const User user = connect();
    for (const std::string_view hello :
         {"", "hello", "[]", "{\"from\":-1}", "{\"from\":\"0\"}", "{\"from\":1.5}"}) {
        const UniqueFd fd = connect_raw();
        ASSERT_TRUE(send_message(fd.get(), hello, {}, soon()).has_value());
        // A hello without "from" is one for all of the history.
        EXPECT_EQ(has_ended(fd.get()), hello != "[]") << hello;
    }
    const UniqueFd oversize = connect_raw();
    write_text(oversize.get(), "\xff\xff\xff\xff");
    EXPECT_TRUE(has_ended(oversize.get()));
    connect_raw().reset();
    write_text(guest.hvc.get(), "alive");
    EXPECT_EQ(read_text(user.fd.get(), 5), "alive");
}

TEST_F(ConsoleTest, AUserWhoLeavesWhileTheGuestTakesNoInputIsForgotten) {
    auto hvc = unix_socket_pair().value();
    set_socket_buffers(hvc.first.get(), 4096);
    auto serial = unix_socket_pair().value();
    console_->attach(std::move(hvc.first), std::move(serial.first));
    const auto count_fds = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
    };
    const auto before = count_fds();
    User user = connect();
    write_text(user.fd.get(), std::string(60000, 'x'));
    user.fd.reset();
    await([&] { return count_fds() == before; });
}

TEST_F(ConsoleTest, ASocketThatCannotBeMadeIsAnError) {
    const auto console = Console::open(folder_.path() / "h", folder_.path() / "none/console.sock");
    ASSERT_FALSE(console.has_value());
    EXPECT_EQ(console.error().code(), Errc::not_found);
}

}  // namespace
}  // namespace kz::monitor
