// A host with all its routes behind a server, and clients of every role.
#pragma once

#include <thread>

#include "../support/temp_folder.h"
#include "base/text.h"
#include "http_client.h"
#include "migrate/peer_keys.h"
#include "os/socket.h"
#include "rad/administration.h"
#include "rad/server.h"
#include "store/registry.h"
#include "zonecfg/parse_export.h"

namespace kz::rad {

class AdministrationTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(make_directories(paths_.rad_dir(), 0755).has_value());
        ASSERT_TRUE(write_file_atomic(paths_.rad_dir() / "roles",
                                      "user daemon viewer\nuser bin operator\nuser sys migrate\n", 0644)
                        .has_value());
        add_zone("web1", "add admin\nset user=games\nset auths=manage\nend\n");
        add_zone("web2", "add admin\nset user=man\nset auths=config,migrate.cold\nend\n");
        administration_ = Administration::open(paths_, any_password, log_, {.request_burst = 10000}).value();
        server_ = std::make_unique<HttpServer>(administration_->desk(), ServerLimits{});
        UniqueFd tcp = tcp_listen("127.0.0.1", 0).value();
        port_ = tcp_local_port(tcp.get()).value();
        const auto key = migrate::load_or_create_host_key(paths_).value();
        server_->listen_tls(std::move(tcp),
                            crypto::TlsContext::server(key, crypto::ClientCertificate::optional).value());
        server_->listen_unix(unix_listen(paths_.run_dir() / "rad.sock", 0600).value());
        thread_ = std::thread([this] { served_ = server_->run(stop_.fd()).has_value(); });
    }
    void TearDown() override {
        if (!thread_.joinable()) return;
        stop_.signal();
        thread_.join();
        EXPECT_TRUE(served_);
    }
    static Result<std::string> any_password(const std::string& user, const Secret&, const std::string&) {
        return user;
    }
    void add_zone(const std::string& name, const std::string& more = {}) {
        const auto registry = store::Registry::open(paths_).value();
        const auto config = zonecfg::parse_export("create -b\nset brand=linux-kz\n" + more, name);
        ASSERT_TRUE(config.has_value()) << config.error().message();
        ASSERT_TRUE(registry.save_config(*config).has_value());
    }
    void put_state(const std::string& zone, zone::State state) {
        const auto registry = store::Registry::open(paths_).value();
        auto record = registry.record(zone).value();
        record.state = state;
        ASSERT_TRUE(registry.put_record(zone, record).has_value());
    }

    // Each from an address of its own, so that none waits for the logins of another.
    HttpClient user(std::string_view name) {
        const std::string source = fmt::format("127.0.1.{}", ++last_address_);
        auto client = HttpClient::over_tls(port_, nullptr, source.c_str());
        EXPECT_EQ(client.login(name, "x").status, 200U) << name;
        return client;
    }
    HttpClient stranger() { return HttpClient::over_tls(port_); }
    HttpClient viewer() { return user("daemon"); }
    HttpClient operate() { return user("bin"); }
    HttpClient migrate_only() { return user("sys"); }
    HttpClient delegate() { return user("games"); }  // of web1: manage
    HttpClient root() {
        return HttpClient(
            migrate::make_transport(unix_connect(paths_.run_dir() / "rad.sock", soon()).value()).value());
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    Log log_{UniqueFd(), "test"};
    EventFd stop_ = EventFd::create().value();
    std::unique_ptr<Administration> administration_;
    std::unique_ptr<HttpServer> server_;
    std::uint16_t port_ = 0;
    std::thread thread_;
    bool served_ = false;
    int last_address_ = 0;
};

}  // namespace kz::rad
