// A server with a few routes of its own, and clients for it.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "../support/temp_folder.h"
#include "http_client.h"
#include "migrate/peer.h"
#include "migrate/peer_keys.h"
#include "os/file.h"
#include "os/io.h"
#include "os/socket.h"
#include "rad/routes.h"
#include "rad/server.h"

namespace kz::rad {

using namespace std::chrono_literals;
using migrate::Peer;
using migrate::PeerAddress;
using migrate::TrustPolicy;

template <typename Condition>
bool until(Condition condition) {
    const Deadline limit = soon();
    while (!condition()) {
        if (limit.passed()) return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

// Tells of its end.
class Tracker : public Attachment {
  public:
    explicit Tracker(std::atomic<int>& ended) : ended_(ended) {}
    ~Tracker() override { ++ended_; }
    int calls = 0;

  private:
    std::atomic<int>& ended_;
};

// Keeps its connection, as a migration does.
class Holder : public Tracker {
  public:
    using Tracker::Tracker;
    bool holds_connection() const override { return true; }
};

// A host "node2" with a server, and the files of a client "node1".
class ServerTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(make_directories(server_paths_.run_dir(), 0755).has_value());
        client_fingerprint_ = migrate::load_or_create_host_key(client_paths_).value().fingerprint;
        add_routes();
    }
    void TearDown() override { stop(); }

    // What stands for PAM: the users daemon and bin have the password "open sesame".
    Result<std::string> check_password(const std::string& user, const Secret& password) {
        ++password_checks_;
        if (user == "broken") return fail(Errc::internal, "PAM could not be asked");
        const bool right = (user == "daemon" || user == "bin") && as_text(password.view()) == "open sesame";
        if (!right) return fail(Errc::permission, "Authentication failure");
        return user;
    }
    void give_role(const std::string& text) {
        ASSERT_TRUE(make_directories(server_paths_.rad_dir(), 0755).has_value());
        ASSERT_TRUE(write_file_atomic(server_paths_.rad_dir() / "roles", text, 0644).has_value());
    }
    std::vector<Json> audit_lines() const { return read_audit(server_paths_); }

    void add_routes() {
        add_login_route(router_, guard_);
        router_.add("GET", "/echo/{word}", {Need::view}, [](Request& request) -> Result<Json> {
            return Json{{"word", request.parameters.at("word")},
                        {"query", request.query},
                        {"name", request.peer.name},
                        {"local", request.peer.local}};
        });
        router_.add("POST", "/echo", {Need::operate},
                    [](Request& request) -> Result<Json> { return request.body; });
        router_.add("POST", "/fail", {Need::operate}, [](Request& request) -> Result<Json> {
            return fail(errc_from_name(request.body.at("code").get<std::string>()), "as asked");
        });
        router_.add("POST", "/throw", {Need::operate},
                    [](Request&) -> Result<Json> { throw std::runtime_error("a fault of ours"); });
        router_.add("POST", "/begin", {Need::operate}, [this](Request& request) -> Result<Json> {
            request.connection.attach("migration", std::make_unique<Tracker>(ended_));
            return Json();
        });
        router_.add("POST", "/hold", {Need::operate}, [this](Request& request) -> Result<Json> {
            request.connection.attach("migration", std::make_unique<Holder>(ended_));
            return Json();
        });
        router_.add("POST", "/let-go", {Need::operate}, [](Request& request) -> Result<Json> {
            request.connection.detach("migration");
            return Json();
        });
        router_.add("POST", "/count", {Need::operate}, [](Request& request) -> Result<Json> {
            auto* tracker = request.connection.find<Tracker>("migration");
            if (tracker == nullptr) return fail(Errc::not_found, "no migration");
            return Json(++tracker->calls);
        });
        router_.add("POST", "/wait", {Need::operate}, [this](Request& request) -> Result<Json> {
            waiting_ = true;
            const auto cancelled = wait_readable(request.cancel_fd, soon());
            cancelled_ = cancelled.has_value();
            return fail(Errc::cancelled, "cancelled");
        });
    }

    void start(ServerLimits limits = {}) {
        server_ = std::make_unique<HttpServer>(Desk{router_, guard_, audit_, log_}, limits);
        server_key_ = migrate::load_or_create_host_key(server_paths_).value();
        UniqueFd tcp = tcp_listen("127.0.0.1", 0).value();
        address_ = {.user = "", .host = "127.0.0.1", .port = tcp_local_port(tcp.get()).value()};
        server_->listen_tls(
            std::move(tcp),
            crypto::TlsContext::server(server_key_, crypto::ClientCertificate::optional).value());
        server_->listen_unix(unix_listen(server_paths_.run_dir() / "rad.sock", 0600).value());
        thread_ = std::thread([this] { served_ = server_->run(stop_.fd()).has_value(); });
    }
    void stop() {
        if (!thread_.joinable()) return;
        stop_.signal();
        thread_.join();
        EXPECT_TRUE(served_);
    }
    void authorize() {
        ASSERT_TRUE(migrate::authorize_key(server_paths_, client_fingerprint_, "node1").has_value());
    }
    Result<Peer> connect(const TrustPolicy& policy = TrustPolicy::accept_new()) {
        return Peer::connect(address_, client_paths_, policy, 20s);
    }
    static Result<Json> get(Peer& peer, std::string_view target) { return peer.call("GET", target, {}, 20s); }
    static Result<Json> post(Peer& peer, std::string_view target, const Json& body = {}) {
        return peer.call("POST", target, body, 20s);
    }
    // A raw client over the unix socket.
    UniqueFd connect_raw() { return unix_connect(server_paths_.run_dir() / "rad.sock", soon()).value(); }
    static std::string read_all(int fd) {
        std::string text;
        std::array<Byte, 4096> chunk;
        for (auto got = read_some(fd, chunk, soon()); got && *got > 0; got = read_some(fd, chunk, soon()))
            text += as_text(ByteView(chunk).first(*got));
        return text;
    }

    test::TempFolder server_folder_;
    test::TempFolder client_folder_;
    HostPaths server_paths_{server_folder_.path()};
    HostPaths client_paths_{client_folder_.path()};
    std::string client_fingerprint_;
    crypto::HostKey server_key_;
    PeerAddress address_;
    Log log_{UniqueFd(), "test"};
    EventFd stop_ = EventFd::create().value();
    Router router_;
    Guard guard_{server_paths_,
                 [this](const std::string& user, const Secret& password, const std::string&) {
                     return check_password(user, password);
                 },
                 log_};
    Audit audit_{server_paths_, log_};
    std::atomic<int> password_checks_ = 0;
    std::atomic<int> ended_ = 0;
    std::atomic<bool> waiting_ = false;
    std::atomic<bool> cancelled_ = false;
    std::unique_ptr<HttpServer> server_;
    std::thread thread_;
    bool served_ = false;
};

}  // namespace kz::rad
