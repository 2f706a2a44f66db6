// kz-radd as systemd starts it, with its sockets open already.
#include "rad/listen_fds.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "../support/temp_folder.h"
#include "http_client.h"
#include "migrate/peer.h"
#include "os/process.h"
#include "os/socket.h"

namespace kz::rad {
namespace {

using namespace std::chrono_literals;

class Activated : public testing::Test {
  protected:
    // LISTEN_PID can only be set by the process itself: a shell does that, and becomes kz-radd.
    Process start(const std::vector<int>& sockets) {
        SpawnOptions options;
        options.argv = {"/bin/sh", "-c",
                        fmt::format("LISTEN_PID=$$ LISTEN_FDS={} exec '{}/kz-radd' -R '{}' --port 1 2>'{}'",
                                    sockets.size(), KZ_PROGRAMS, folder_.path().string(), log().string())};
        int next = 3;
        for (const int socket : sockets)
            options.fds.push_back({socket, next++});
        return Process::spawn(options).value();
    }
    Path log() const { return folder_.path() / "log"; }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
};

TEST_F(Activated, ServesTheSocketsThatItWasGiven) {
    ASSERT_TRUE(make_directories(paths_.run_dir(), 0755).has_value());
    const UniqueFd tcp = tcp_listen("127.0.0.1", 0).value();
    const UniqueFd local = unix_listen(paths_.run_dir() / "rad.sock", 0600).value();
    Process radd = start({local.get(), tcp.get()});
    auto peer = migrate::Peer::connect_local(paths_, 20s);
    ASSERT_TRUE(peer.has_value()) << read_file(log(), 1 << 16).value_or("");
    EXPECT_TRUE(peer->call("GET", "/api/1/host", {}, 20s).has_value());
    auto stranger = HttpClient::over_tls(tcp_local_port(tcp.get()).value());
    EXPECT_EQ(stranger.ask("GET", "/api/1/host").status, 403U);
    ASSERT_TRUE(radd.signal(SIGTERM).has_value());
    ASSERT_TRUE(radd.wait(soon()).has_value());
    EXPECT_EQ(radd.exit_status(), 0);
    // The socket is systemd's.
    EXPECT_TRUE(std::filesystem::exists(paths_.run_dir() / "rad.sock"));
}

TEST_F(Activated, OtherDescriptorsAreRefused) {
    const UniqueFd file = open_file("/dev/null", O_RDONLY).value();
    const UniqueFd tcp = tcp_listen("127.0.0.1", 0).value();
    for (const std::vector<int>& wrong :
         {std::vector<int>{file.get()}, std::vector<int>{tcp.get(), tcp.get()}}) {
        Process radd = start(wrong);
        ASSERT_TRUE(radd.wait(soon()).has_value());
        EXPECT_NE(radd.exit_status(), 0);
        EXPECT_NE(read_file(log(), 1 << 16).value_or("").find("LISTEN_FDS"), std::string::npos);
    }
}

TEST(ListenFds, AreNotThoseOfAnotherProcess) {
    ::setenv("LISTEN_PID", "1", 1);
    ::setenv("LISTEN_FDS", "2", 1);
    const ListenFds none = take_listen_fds().value();
    EXPECT_FALSE(none.tcp);
    EXPECT_FALSE(none.local);
    EXPECT_EQ(std::getenv("LISTEN_FDS"), nullptr);
}

}  // namespace
}  // namespace kz::rad
