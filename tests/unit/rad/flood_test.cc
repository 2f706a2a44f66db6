// kz-radd among thousands of connections that say nothing.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <array>
#include <fstream>

#include "../support/temp_folder.h"
#include "http_client.h"
#include "migrate/peer.h"
#include "migrate/peer_keys.h"
#include "os/process.h"
#include "os/socket.h"

namespace kz::rad {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kIdle = 3'000;
constexpr std::size_t kMaxGrowth = 24 * 1024;  // KiB

class Flood : public testing::Test {
  protected:
    void SetUp() override {
        raise_limit();
        UniqueFd probe = tcp_listen("127.0.0.1", 0).value();
        port_ = tcp_local_port(probe.get()).value();
        probe.reset();
        const std::string key = migrate::load_or_create_host_key(client_).value().fingerprint;
        ASSERT_TRUE(migrate::authorize_key(paths_, key, "node1").has_value());
        const std::string root = folder_.path().string();
        CommandOptions options;
        options.deadline = Deadline::after(30s);
        const auto started = run_command({std::string(KZ_PROGRAMS) + "/kz-radd", "-R", root, "--daemon",
                                          "--listen", "127.0.0.1", "--port", std::to_string(port_)},
                                         options);
        ASSERT_TRUE(started.has_value());
        ASSERT_EQ(started->status, 0) << started->standard_error;
        pid_ =
            static_cast<pid_t>(parse_u64(trim(read_file(paths_.run_dir() / "radd.pid", 64).value())).value());
    }
    void TearDown() override {
        if (pid_ <= 0) return;
        auto daemon = Process::adopt(identify_process(pid_).value()).value();
        ASSERT_TRUE(daemon.signal(SIGTERM).has_value());
        EXPECT_TRUE(daemon.wait(Deadline::after(20s)).has_value());
    }
    // This test holds one end of each connection.
    void raise_limit() {
        rlimit limit{};
        ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
        wanted_ = std::min<std::size_t>(kIdle, limit.rlim_max - 200);
        limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, wanted_ + 200);
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
    // A number of /proc/PID/status: VmRSS in KiB, Threads.
    std::size_t status(const std::string& name) const {
        std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
        for (std::string line; std::getline(file, line);)
            if (line.starts_with(name + ":"))
                return parse_u64(trim(line.substr(name.size() + 1, line.find(" kB") - name.size() - 1)))
                    .value_or(0);
        return 0;
    }
    bool key_client_is_answered() {
        auto peer = migrate::Peer::connect({"", "127.0.0.1", port_}, client_,
                                           migrate::TrustPolicy::accept_new(), 10s);
        return peer && peer->call("GET", "/api/1/host", {}, 10s).has_value();
    }

    test::TempFolder folder_;
    test::TempFolder client_folder_;
    HostPaths paths_{folder_.path()};
    HostPaths client_{client_folder_.path()};
    std::uint16_t port_ = 0;
    pid_t pid_ = -1;
    std::size_t wanted_ = 0;
};

TEST_F(Flood, IdleConnectionsCostLittleAndKeepNobodyOut) {
    ASSERT_TRUE(key_client_is_answered());
    auto early =
        migrate::Peer::connect({"", "127.0.0.1", port_}, client_, migrate::TrustPolicy::refuse(), 10s)
            .value();
    ASSERT_TRUE(early.call("GET", "/api/1/host", {}, 10s).has_value());
    const std::size_t before = status("VmRSS");
    ASSERT_GT(before, 0U);
    std::vector<UniqueFd> idle;
    std::size_t answered = 0;
    for (std::size_t i = 0; i < wanted_; ++i) {
        idle.push_back(connect_from("127.0.0.2", port_));
        ASSERT_TRUE(idle.back()) << i;
        if (i % 1000 == 999) answered += key_client_is_answered() ? 1 : 0;
    }
    EXPECT_EQ(answered, wanted_ / 1000);
    EXPECT_TRUE(early.call("GET", "/api/1/host", {}, 10s).has_value());
    EXPECT_LE(status("VmRSS"), before + kMaxGrowth);
    EXPECT_LE(status("Threads"), 64U + 4U * 32U + 4U);
    // Those that are left are the newest.
    std::array<Byte, 1> byte{};
    const auto first = read_some(idle.front().get(), byte, soon());
    EXPECT_TRUE(!first || *first == 0);
    EXPECT_FALSE(read_some(idle.back().get(), byte, Deadline::after(0ms)).has_value());
}

}  // namespace
}  // namespace kz::rad
