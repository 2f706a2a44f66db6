#include "os/fence.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "os/boot_clock.h"
#include "os/io.h"
#include "os/socket.h"

namespace kz {
namespace {

using namespace std::chrono_literals;

// Fills the connection until nothing more is taken, says so on `full`, and stays.
[[noreturn]] void write_without_end(int connection, int full) {
    const std::vector<char> block(64 * 1024, 'x');
    while (true) {
        const ssize_t sent = ::send(connection, block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) continue;
        [[maybe_unused]] const ssize_t said = ::write(full, "f", 1);
        ::pause();
    }
}

TEST(Fence, DropsWhatTheProcessHasWrittenButNotSent) {
    UniqueFd listener = *tcp_listen("127.0.0.1", 0);
    const int small = 4096;
    ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    const std::uint16_t port = *tcp_local_port(listener.get());
    std::array<int, 2> pipe_fds{};
    ASSERT_EQ(::pipe(pipe_fds.data()), 0);
    const UniqueFd full(pipe_fds[0]);
    UniqueFd full_end(pipe_fds[1]);
    UniqueFd connection = *tcp_connect("127.0.0.1", port, Deadline::after(5s));
    const UniqueFd server = *accept_connection(listener.get(), Deadline::after(5s));
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        write_without_end(connection.get(), full_end.get());
    }
    connection.reset();
    full_end.reset();
    Bytes word(1);
    ASSERT_TRUE(read_exact(full.get(), word, Deadline::after(10s)));

    Process process = *Process::adopt(*identify_process(child));
    fence_process(process);
    EXPECT_FALSE(process.alive());

    // What had arrived may be read; then the connection is reset, and not closed in good order.
    Bytes buffer(64 * 1024);
    ssize_t got = 0;
    do {
        got = ::recv(server.get(), buffer.data(), buffer.size(), 0);
    } while (got > 0);
    EXPECT_EQ(got, -1);
    EXPECT_EQ(errno, ECONNRESET);
    ::waitpid(child, nullptr, 0);
}

TEST(Fence, OfAProcessThatHasEndedDoesNothing) {
    SpawnOptions options;
    options.argv = {"true"};
    Process process = *Process::spawn(options);
    ASSERT_TRUE(process.wait(Deadline::after(10s)));
    fence_process(process);
    EXPECT_FALSE(process.alive());
}

TEST(BootClock, RunsAtTheSpeedOfTheSteadyOne) {
    const auto boot = BootClock::now();
    const auto steady = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - steady < 20ms) {
    }
    const auto passed = BootClock::now() - boot;
    EXPECT_GE(passed, 20ms);
    EXPECT_LT(passed, 5s);
}

}  // namespace
}  // namespace kz
