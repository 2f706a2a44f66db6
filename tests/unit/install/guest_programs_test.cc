// The programs of the mini guest, run on the host.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>

#include "base/text.h"
#include "fixture.h"
#include "os/io.h"
#include "os/process.h"

namespace kz::install {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::string guest_program(std::string_view name) {
    return std::string(KZ_SHARE) + "/guest/bin/" + std::string(name);
}

CommandOutput run(std::vector<std::string> argv) {
    argv[0] = guest_program(argv[0]);
    CommandOptions options;
    options.deadline = Deadline::after(std::chrono::seconds(30));
    const Result<CommandOutput> out = run_command(std::move(argv), options);
    EXPECT_TRUE(out) << out.error().message();
    return out ? *out : CommandOutput{-1, "", ""};
}

TEST(KzClock, CountsFromOneByOne) {
    const CommandOutput out = run({"kz-clock", "-n", "3", "-i", "10"});
    EXPECT_EQ(out.status, 0);
    const std::vector<std::string> lines = split(trim(out.standard_output), '\n');
    ASSERT_EQ(lines.size(), 3U);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        EXPECT_THAT(lines[i], MatchesRegex("tick " + std::to_string(i + 1) + " [0-9]+\\.[0-9][0-9][0-9]"));
    }
}

using KzClockFile = FolderTest;
TEST_F(KzClockFile, WritesToAFile) {
    EXPECT_EQ(run({"kz-clock", "-n", "2", "-i", "1", "-o", folder() / "log"}).status, 0);
    EXPECT_THAT(get(folder() / "log"), MatchesRegex("tick 1 .*\ntick 2 .*\n"));
    EXPECT_EQ(run({"kz-clock", "-n", "2", "-o", "/nowhere/log"}).status, 1);
}

TEST(KzClock, RefusesWhatItDoesNotKnow) {
    EXPECT_EQ(run({"kz-clock", "-i", "0"}).status, 2);
    EXPECT_EQ(run({"kz-clock", "-i", "1x"}).status, 2);
    EXPECT_EQ(run({"kz-clock", "-n", "-1"}).status, 2);
    EXPECT_EQ(run({"kz-clock", "more"}).status, 2);
}

TEST(KzMemload, FindsEveryKindOfFault) {
    const CommandOutput out = run({"kz-memload", "--self-test"});
    EXPECT_EQ(out.status, 0) << out.standard_output;
    EXPECT_EQ(out.standard_output, "self-test ok\n");
}

TEST(KzMemload, GoodMemoryIsGood) {
    for (const std::vector<std::string>& more :
         {std::vector<std::string>{}, {"-x"}, {"-z", "30"}, {"-x", "-z", "100"}}) {
        std::vector<std::string> argv = {"kz-memload", "-m", "2", "-r", "0", "-p", "3"};
        argv.insert(argv.end(), more.begin(), more.end());
        const CommandOutput out = run(argv);
        EXPECT_EQ(out.status, 0);
        EXPECT_THAT(out.standard_output, HasSubstr("memload done: 3 passes, 1536 pages checked\n"));
    }
}

TEST(KzMemload, RefusesWhatItDoesNotKnow) {
    EXPECT_EQ(run({"kz-memload"}).status, 2);
    EXPECT_EQ(run({"kz-memload", "-m", "0"}).status, 2);
    EXPECT_EQ(run({"kz-memload", "-m", "1", "-z", "101"}).status, 2);
}

sockaddr_in6 loopback(in_port_t port) {
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    address.sin6_port = port;
    return address;
}

// A port that nobody has now.
in_port_t free_port() {
    const UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 address = loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    return address.sin6_port;
}

UniqueFd connect_to(in_port_t port) {
    const Deadline deadline = Deadline::after(std::chrono::seconds(10));
    while (!deadline.passed()) {
        UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_in6 address = loopback(port);
        if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    }
    ADD_FAILURE() << "kz-echo does not listen";
    return {};
}

TEST(KzEcho, AnswersSeveralClients) {
    const in_port_t port = free_port();
    SpawnOptions options;
    options.argv = {guest_program("kz-echo"), "-p", std::to_string(ntohs(port))};
    Result<Process> server = Process::spawn(options);
    ASSERT_TRUE(server) << server.error().message();
    const std::shared_ptr<Process> ended_with_the_test(&*server,
                                                       [](Process* process) { process->kill_and_wait(); });
    const Deadline deadline = Deadline::after(std::chrono::seconds(20));
    UniqueFd first = connect_to(port);
    const UniqueFd second = connect_to(port);
    const Bytes large(3000, 0x5a);
    for (int round = 0; round < 3; ++round) {
        for (const int fd : {first.get(), second.get()}) {
            ASSERT_TRUE(write_all(fd, large, deadline));
            Bytes back(large.size());
            ASSERT_TRUE(read_exact(fd, back, deadline));
            EXPECT_EQ(back, large);
        }
    }
    first.reset();
    ASSERT_TRUE(write_all(second.get(), large, deadline));
    Bytes back(large.size());
    EXPECT_TRUE(read_exact(second.get(), back, deadline));
}

}  // namespace
}  // namespace kz::install
