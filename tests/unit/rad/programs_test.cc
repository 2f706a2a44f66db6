// kz-radd and kz-migrd as programs.
#include <gtest/gtest.h>
#include <signal.h>

#include "../support/temp_folder.h"
#include "base/text.h"
#include "http_client.h"
#include "migrate/peer.h"
#include "migrate/peer_keys.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"

namespace kz::rad {
namespace {

using namespace std::chrono_literals;

std::string program(std::string_view name) {
    return fmt::format("{}/{}", KZ_PROGRAMS, name);
}

std::uint16_t free_port() {
    const UniqueFd fd = tcp_listen("127.0.0.1", 0).value();
    return tcp_local_port(fd.get()).value();
}

class Daemons : public testing::TestWithParam<const char*> {
  protected:
    // As "kz-NAME".
    std::string name() const { return GetParam(); }
    CommandOutput run(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {program("kz-" + name()), "-R", folder_.path().string()});
        CommandOptions options;
        options.deadline = Deadline::after(30s);
        return run_command(arguments, options).value();
    }
    CommandOutput start_daemon() {
        return run({"--daemon", "--listen", "127.0.0.1", "--port", std::to_string(port_)});
    }
    Path pid_file() const { return paths_.run_dir() / (name() + ".pid"); }
    // Ends it as an administrator would and waits for its end.
    void TearDown() override {
        const auto text = read_file(pid_file(), 64);
        if (!text) return;
        const auto pid = parse_u64(trim(*text));
        ASSERT_TRUE(pid.has_value());
        const auto identity = identify_process(static_cast<pid_t>(*pid));
        ASSERT_TRUE(identity.has_value());
        auto daemon = Process::adopt(*identity).value();
        ASSERT_TRUE(daemon.signal(SIGTERM).has_value());
        EXPECT_TRUE(daemon.wait(Deadline::after(20s)).has_value());
        EXPECT_FALSE(std::filesystem::exists(pid_file()));
        EXPECT_FALSE(FileLock::held(paths_.run_dir() / (name() + ".lock")));
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    std::uint16_t port_ = free_port();
};

TEST_P(Daemons, ComeUpLogAndEnd) {
    const CommandOutput started = start_daemon();
    EXPECT_EQ(started.status, 0) << started.standard_error;
    EXPECT_EQ(started.standard_error, "");
    EXPECT_TRUE(tcp_connect("127.0.0.1", port_, Deadline::after(20s)).has_value());
    const std::string log = read_file(paths_.log_dir() / (name() + ".log"), 1 << 20).value_or("");
    EXPECT_NE(log.find(fmt::format("ready on port {}", port_)), std::string::npos) << log;
}

TEST_P(Daemons, ASecondInstanceIsRefused) {
    ASSERT_EQ(start_daemon().status, 0);
    const std::string pid(trim(read_file(pid_file(), 64).value()));
    port_ = free_port();
    const CommandOutput second = start_daemon();
    EXPECT_EQ(second.status, 1);
    EXPECT_EQ(second.standard_error,
              fmt::format("kz-{0}: kz-{0} is already running (pid {1})\n", name(), pid));
    EXPECT_EQ(trim(read_file(pid_file(), 64).value()), pid);
}

TEST_P(Daemons, APortInUseIsAClearError) {
    const UniqueFd taken = tcp_listen("127.0.0.1", 0).value();
    port_ = tcp_local_port(taken.get()).value();
    const CommandOutput started = start_daemon();
    EXPECT_EQ(started.status, 1);
    EXPECT_EQ(started.standard_error, fmt::format("kz-{}: port {} is already in use\n", name(), port_));
    EXPECT_FALSE(std::filesystem::exists(pid_file()));
}

TEST_P(Daemons, WrongUsageHasStatusTwo) {
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {"--port"}, {"--port", "0"}, {"--port=70000"}, {"--bogus"}, {"extra"}}) {
        const CommandOutput output = run(arguments);
        EXPECT_EQ(output.status, 2) << arguments.front();
        EXPECT_NE(output.standard_error.find("usage: kz-" + name()), std::string::npos);
    }
    EXPECT_EQ(run({"--help"}).status, 0);
}

INSTANTIATE_TEST_SUITE_P(Both, Daemons, testing::Values("radd", "migrd"));

class Radd : public Daemons {};

TEST_P(Radd, PrintsItsFingerprintAndAuthorisesKeys) {
    const CommandOutput printed = run({"--fingerprint"});
    EXPECT_EQ(printed.status, 0);
    EXPECT_EQ(printed.standard_output, migrate::load_or_create_host_key(paths_).value().fingerprint + "\n");

    test::TempFolder client_folder;
    const HostPaths client(client_folder.path());
    const std::string key = migrate::load_or_create_host_key(client).value().fingerprint;
    EXPECT_EQ(run({"--authorize", "nonsense"}).status, 2);
    EXPECT_EQ(run({"--authorize", key, "node1"}).status, 0);
    ASSERT_EQ(start_daemon().status, 0);
    auto peer =
        migrate::Peer::connect({"", "127.0.0.1", port_}, client, migrate::TrustPolicy::accept_new(), 20s);
    ASSERT_TRUE(peer.has_value()) << peer.error().message();
    const auto host = peer->call("GET", "/api/1/host", {}, 20s);
    ASSERT_TRUE(host.has_value()) << host.error().message();
    EXPECT_EQ(host->at("api"), 1);
    EXPECT_FALSE(host->at("id").get<std::string>().empty());
    EXPECT_GT(host->at("memory").get<std::uint64_t>(), 0U);
    const auto zones = peer->call("GET", "/api/1/zones", {}, 20s);
    ASSERT_TRUE(zones.has_value()) << zones.error().message();
    EXPECT_EQ(*zones, (Json{{"zones", Json::array()}}));
    EXPECT_EQ(peer->call("GET", "/api/1/zones/none", {}, 20s).error().code(), Errc::not_found);
}

TEST_P(Radd, KeysAreAuthorisedWithARole) {
    const std::string key = "SHA256:" + std::string(42, 'x') + "A";
    const auto line = [&] { return migrate::AuthorizedKeys::load(paths_).value().look_up(key); };
    EXPECT_EQ(run({"--authorize", key, "--role", "emperor"}).status, 2);
    EXPECT_EQ(run({"--authorize", key, "--role"}).status, 2);
    EXPECT_EQ(run({"--authorize"}).status, 2);
    EXPECT_EQ(line(), std::nullopt);
    EXPECT_EQ(run({"--authorize", key, "--role", "viewer", "desk"}).status, 0);
    EXPECT_EQ(line()->role, "viewer");
    EXPECT_EQ(line()->name, "desk");
    EXPECT_EQ(run({"--authorize", key, "--role=operator"}).status, 0);
    EXPECT_EQ(line()->role, "operator");
    EXPECT_EQ(line()->name, "desk");
}

TEST_P(Radd, LogsInByThePamOfItsRoot) {
    const Path folder = folder_.path() / "etc/pam.d";
    ASSERT_TRUE(make_directories(folder, 0755).has_value());
    const auto service = [&](const std::string& text) {
        ASSERT_TRUE(write_file_atomic(folder / "kzones", text, 0644).has_value());
    };
    service("auth required pam_permit.so\naccount required pam_permit.so\n");
    ASSERT_EQ(start_daemon().status, 0);
    auto client = HttpClient::over_tls(port_);
    EXPECT_EQ(client.ask("GET", "/api/1/host").status, 403U);
    EXPECT_EQ(client.login("root", "anything").body, (Json{{"user", "root"}, {"role", "full"}}));
    EXPECT_EQ(client.ask("GET", "/api/1/host").status, 200U);
    service("auth required pam_deny.so\naccount required pam_permit.so\n");
    auto other = HttpClient::over_tls(port_, nullptr, "127.0.0.2");
    EXPECT_EQ(other.login("root", "anything").status, 401U);
}

INSTANTIATE_TEST_SUITE_P(Only, Radd, testing::Values("radd"));

}  // namespace
}  // namespace kz::rad
