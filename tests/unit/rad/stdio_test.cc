// kz-radd --stdio, as ssh runs it.
#include "rad/stdio.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temp_folder.h"
#include "migrate/peer.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"

namespace kz::rad {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(SshClientAddress, IsTheFirstWordOfSshConnection) {
    EXPECT_EQ(ssh_client_address("192.0.2.1 40000 192.0.2.2 22"), "192.0.2.1");
    EXPECT_EQ(ssh_client_address("fe80::1%eth0 40000 fe80::2 22"), "fe80::1%eth0");
    for (const std::string text : {"", " 1", "a\nb 1", "x\x1b[2J 1", "rm -rf", "(x) 1"})
        EXPECT_EQ(ssh_client_address(text), text == "rm -rf" ? "rm" : "unknown") << text;
    EXPECT_EQ(ssh_client_address(std::string(65, '1')), "unknown");
}

class Stdio : public testing::Test {
  protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    }
    // The program with one end of a socket as its standard input and output.
    void start() {
        auto [near, far] = unix_socket_pair().value();
        SpawnOptions options;
        options.argv = {fmt::format("{}/kz-radd", KZ_PROGRAMS), "-R", folder_.path().string(), "--stdio"};
        options.fds = {{far.get(), 0}, {far.get(), 1}};
        options.environment = {{"SSH_CONNECTION", "192.0.2.1 40000 192.0.2.2 22"}};
        process_.emplace(Process::spawn(options).value());
        peer_.emplace(migrate::Peer::on_stream({.user = {}, .host = "node2"}, std::move(near)).value());
    }
    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    std::optional<Process> process_;
    std::optional<migrate::Peer> peer_;
};

TEST_F(Stdio, ServesOneConnectionWithoutADaemon) {
    start();
    const auto host = peer_->call("GET", "/api/1/host", nullptr, 20s);
    ASSERT_TRUE(host.has_value()) << host.error().message();
    EXPECT_EQ(host->at("api"), 1);
    EXPECT_TRUE(peer_->call("GET", "/api/1/migration-ciphers", nullptr, 20s).has_value());
    EXPECT_EQ(peer_->call("GET", "/api/1/zones/none", nullptr, 20s).error().code(), Errc::not_found);
    EXPECT_EQ(peer_->call("POST", "/api/1/zones/none/incoming/configure", Json::object(), 20s).error().code(),
              Errc::wrong_state);
    peer_.reset();
    EXPECT_EQ(process_->wait(Deadline::after(20s)).value(), "exited with status 0");
    EXPECT_THAT(read_file(paths_.log_dir() / "radd.log", 1 << 20).value(), HasSubstr("ssh:root@192.0.2.1"));
}

TEST_F(Stdio, SeveralServeAtTheSameTime) {
    start();
    auto first = std::move(*peer_);
    auto process = std::move(*process_);
    start();
    EXPECT_TRUE(first.call("GET", "/api/1/host", nullptr, 20s).has_value());
    EXPECT_TRUE(peer_->call("GET", "/api/1/host", nullptr, 20s).has_value());
    {
        const auto ended = std::move(first);
    }
    EXPECT_TRUE(process.wait(Deadline::after(20s)).has_value());
    EXPECT_TRUE(peer_->call("GET", "/api/1/host", nullptr, 20s).has_value());
    peer_.reset();
    EXPECT_TRUE(process_->wait(Deadline::after(20s)).has_value());
}

TEST_F(Stdio, IsForRootAlone) {
    const auto output =
        run_command({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                     fmt::format("{}/kz-radd", KZ_PROGRAMS), "-R", folder_.path().string(), "--stdio"},
                    {.deadline = Deadline::after(20s)})
            .value();
    EXPECT_EQ(output.status, 1);
    EXPECT_EQ(output.standard_output, "");
    EXPECT_THAT(output.standard_error, HasSubstr("kz-radd: zones are administered as root"));
    EXPECT_THAT(output.standard_error, HasSubstr("user id 65534"));
}

}  // namespace
}  // namespace kz::rad
