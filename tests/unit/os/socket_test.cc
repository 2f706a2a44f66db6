#include "os/socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "../support/temp_folder.h"
#include "os/file.h"
#include "os/io.h"

namespace kz {
namespace {

using std::chrono::milliseconds;

Deadline soon() {
    return Deadline::after(milliseconds(10'000));
}
Deadline shortly() {
    return Deadline::after(milliseconds(20));
}

struct Pair {
    UniqueFd a;
    UniqueFd b;
};
Pair make_pair() {
    auto both = *unix_socket_pair();
    return {std::move(both.first), std::move(both.second)};
}

TEST(Io, DeadlinesAndCancels) {
    const Pair pair = make_pair();
    Bytes buffer(10);
    EXPECT_EQ(read_exact(pair.a.get(), buffer, shortly()).error().code(), Errc::timeout);
    const EventFd cancel = *EventFd::create();
    cancel.signal();
    EXPECT_EQ(read_exact(pair.a.get(), buffer, soon(), cancel.fd()).error().code(), Errc::cancelled);
    EXPECT_EQ(wait_writable(pair.a.get(), soon(), cancel.fd()).error().code(), Errc::cancelled);
    cancel.reset();
    EXPECT_TRUE(wait_writable(pair.a.get(), soon(), cancel.fd()));
    std::jthread canceller([&] { cancel.signal(); });
    EXPECT_EQ(read_some(pair.a.get(), buffer, soon(), cancel.fd()).error().code(), Errc::cancelled);
}

TEST(Io, WritesAllThroughAFullPipe) {
    Pair pair = make_pair();
    const Bytes sent(3'000'000, 0x55);
    std::jthread writer([&] { EXPECT_TRUE(write_all(pair.a.get(), sent, soon())); });
    Bytes got(sent.size());
    ASSERT_TRUE(read_exact(pair.b.get(), got, soon()));
    EXPECT_EQ(got, sent);
    writer.join();
    ASSERT_TRUE(set_nonblocking(pair.a.get(), true));
    EXPECT_EQ(write_all(pair.a.get(), sent, shortly()).error().code(), Errc::timeout);
}

TEST(Io, ReaderThatIsGoneIsAnErrorAndNoSignal) {
    Pair pair = make_pair();
    pair.b.reset();
    const Bytes bytes(10);
    EXPECT_EQ(write_all(pair.a.get(), bytes, soon()).error().code(), Errc::unavailable);
    Bytes buffer(1);
    EXPECT_EQ(*read_some(pair.a.get(), buffer, soon()), 0U);
    EXPECT_EQ(read_exact(pair.a.get(), buffer, soon()).error().code(), Errc::unavailable);
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd write_end(ends[1]);
    ::close(ends[0]);
    EXPECT_EQ(write_all(write_end.get(), bytes, soon()).error().code(), Errc::unavailable);
    sigset_t pending;
    ::sigpending(&pending);
    EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
}

TEST(UnixSocket, ConnectsOnAnyLengthOfPath) {
    const test::TempFolder folder;
    for (const Path& path :
         {folder.path() / "s", folder.path() / std::string(100, 'd') / std::string(60, 's')}) {
        ASSERT_TRUE(make_directories(path.parent_path(), 0755));
        for (int round = 0; round < 2; ++round) {  // the second takes the place of a stale one
            const UniqueFd listener = *unix_listen(path, 0600);
            struct stat status{};
            ASSERT_EQ(::stat(path.c_str(), &status), 0);
            EXPECT_EQ(status.st_mode & 0777, 0600U);
            const UniqueFd client = *unix_connect(path, soon());
            const UniqueFd server = *accept_connection(listener.get(), soon());
            ASSERT_TRUE(write_all(client.get(), as_bytes("hi"), soon()));
            Bytes got(2);
            ASSERT_TRUE(read_exact(server.get(), got, soon()));
            EXPECT_EQ(as_text(got), "hi");
            EXPECT_EQ(unix_peer_credentials(server.get())->pid, ::getpid());
            EXPECT_EQ(unix_peer_credentials(server.get())->uid, ::geteuid());
        }
        EXPECT_FALSE(unix_connect(path, soon())) << "nobody listens there any more";
    }
    EXPECT_EQ(unix_connect(folder.path() / "none", soon()).error().code(), Errc::not_found);
    EXPECT_FALSE(unix_listen(folder.path() / std::string(200, 's'), 0600));
}

TEST(UnixSocket, PassesDescriptors) {
    const Pair pair = make_pair();
    const test::TempFolder folder;
    ASSERT_TRUE(write_file_atomic(folder.path() / "f", "content", 0600));
    const UniqueFd file = *open_file(folder.path() / "f", O_RDONLY);
    const std::array<int, 2> fds{file.get(), pair.a.get()};
    ASSERT_TRUE(send_message(pair.a.get(), "two files", fds, soon()));
    ASSERT_TRUE(send_message(pair.a.get(), "", {}, soon()));
    const Message message = *receive_message(pair.b.get(), soon());
    EXPECT_EQ(message.text, "two files");
    ASSERT_EQ(message.fds.size(), 2U);
    Bytes got(7);
    ASSERT_TRUE(read_exact(message.fds[0].get(), got, soon()));
    EXPECT_EQ(as_text(got), "content");
    EXPECT_NE(::fcntl(message.fds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_TRUE(receive_message(pair.b.get(), soon())->fds.empty());
}

TEST(UnixSocket, MessagesHaveLimits) {
    Pair pair = make_pair();
    EXPECT_EQ(send_message(pair.a.get(), std::string(64 * 1024 + 1, 'x'), {}, soon()).error().code(),
              Errc::invalid_argument);
    const std::vector<int> many(9, pair.a.get());
    EXPECT_EQ(send_message(pair.a.get(), "x", many, soon()).error().code(), Errc::invalid_argument);
    std::jthread sender(
        [&] { EXPECT_TRUE(send_message(pair.a.get(), std::string(64 * 1024, 'x'), {}, soon())); });
    EXPECT_EQ(receive_message(pair.b.get(), soon())->text.size(), 64 * 1024U);
    sender.join();
    ASSERT_TRUE(write_all(pair.a.get(), Bytes{0xff, 0xff, 0xff, 0x7f}, soon()));
    EXPECT_EQ(receive_message(pair.b.get(), soon()).error().code(), Errc::protocol);
    EXPECT_EQ(receive_message(pair.b.get(), shortly()).error().code(), Errc::timeout);
    ASSERT_TRUE(write_all(pair.a.get(), Bytes{5, 0, 0, 0, 'c', 'u', 't'}, soon()));
    pair.a.reset();
    EXPECT_EQ(receive_message(pair.b.get(), soon()).error().code(), Errc::unavailable);
    EXPECT_EQ(receive_message(pair.b.get(), soon()).error().code(), Errc::unavailable);
}

TEST(UnixSocket, MoreDescriptorsThanAllowedAreRefused) {
    const Pair pair = make_pair();
    std::array<Byte, 4> length{1, 0, 0, 0};
    iovec part{length.data(), length.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 20)> control{};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * 20);
    const std::vector<int> fds(20, pair.a.get());
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
    ASSERT_EQ(::sendmsg(pair.a.get(), &header, 0), 4);
    EXPECT_EQ(receive_message(pair.b.get(), soon()).error().code(), Errc::protocol);
}

TEST(Tcp, ConnectsAndNamesThePeer) {
    const UniqueFd listener = *tcp_listen("127.0.0.1", 0);
    const std::uint16_t port = *tcp_local_port(listener.get());
    ASSERT_NE(port, 0);
    const UniqueFd client = *tcp_connect("127.0.0.1", port, soon());
    const UniqueFd server = *accept_connection(listener.get(), soon());
    EXPECT_EQ(*tcp_peer_address(server.get()), "127.0.0.1");
    EXPECT_TRUE(tune_tcp(client.get()));
    EXPECT_EQ(tcp_listen("127.0.0.1", port).error().code(), Errc::busy);
    EXPECT_EQ(accept_connection(listener.get(), shortly()).error().code(), Errc::timeout);
}

TEST(Tcp, EveryAddressTakesIpv4) {
    const UniqueFd listener = *tcp_listen("", 0);
    const UniqueFd client = *tcp_connect("127.0.0.1", *tcp_local_port(listener.get()), soon());
    const UniqueFd server = *accept_connection(listener.get(), soon());
    EXPECT_EQ(*tcp_peer_address(server.get()), "127.0.0.1");
}

TEST(Tcp, RefusedConnectionNamesTheAddress) {
    std::uint16_t port = 0;
    {
        const UniqueFd listener = *tcp_listen("127.0.0.1", 0);
        port = *tcp_local_port(listener.get());
    }
    const Result<UniqueFd> refused = tcp_connect("127.0.0.1", port, soon());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::unavailable);
    EXPECT_THAT(refused.error().message(), testing::StartsWith(fmt::format("127.0.0.1:{}: ", port)));
    EXPECT_EQ(tcp_connect("no such host", 1, soon()).error().code(), Errc::unavailable);
}

}  // namespace
}  // namespace kz
