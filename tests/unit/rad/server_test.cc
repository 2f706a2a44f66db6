#include "rad/server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <latch>
#include <thread>

#include "../support/temp_folder.h"
#include "migrate/peer.h"
#include "migrate/peer_keys.h"
#include "os/file.h"
#include "os/io.h"
#include "os/socket.h"

namespace kz::rad {
namespace {

using namespace std::chrono_literals;
using migrate::Peer;
using migrate::PeerAddress;
using migrate::TrustPolicy;

Deadline soon() {
    return Deadline::after(20s);
}

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

// A host "node2" with a server, and the files of a client "node1".
class ServerTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(make_directories(server_paths_.run_dir(), 0755).has_value());
        client_fingerprint_ = migrate::load_or_create_host_key(client_paths_).value().fingerprint;
        add_routes();
    }
    void TearDown() override { stop(); }

    void add_routes() {
        router_.add("GET", "/echo/{word}", [](Request& request) -> Result<Json> {
            return Json{{"word", request.parameters.at("word")},
                        {"query", request.query},
                        {"name", request.peer.name},
                        {"local", request.peer.local}};
        });
        router_.add("POST", "/echo", [](Request& request) -> Result<Json> { return request.body; });
        router_.add("POST", "/fail", [](Request& request) -> Result<Json> {
            return fail(errc_from_name(request.body.at("code").get<std::string>()), "as asked");
        });
        router_.add("POST", "/throw",
                    [](Request&) -> Result<Json> { throw std::runtime_error("a fault of ours"); });
        router_.add("POST", "/begin", [this](Request& request) -> Result<Json> {
            request.connection.attach("migration", std::make_unique<Tracker>(ended_));
            return Json();
        });
        router_.add("POST", "/count", [](Request& request) -> Result<Json> {
            auto* tracker = request.connection.find<Tracker>("migration");
            if (tracker == nullptr) return fail(Errc::not_found, "no migration");
            return Json(++tracker->calls);
        });
        router_.add("POST", "/wait", [this](Request& request) -> Result<Json> {
            waiting_ = true;
            const auto cancelled = wait_readable(request.cancel_fd, soon());
            cancelled_ = cancelled.has_value();
            return fail(Errc::cancelled, "cancelled");
        });
    }

    void start(ServerLimits limits = {}) {
        server_ = std::make_unique<HttpServer>(
            router_,
            [this](const std::string& fingerprint) -> Result<std::optional<std::string>> {
                KZ_TRY(const auto keys, migrate::AuthorizedKeys::load(server_paths_));
                return keys.find(fingerprint);
            },
            limits, log_);
        server_key_ = migrate::load_or_create_host_key(server_paths_).value();
        UniqueFd tcp = tcp_listen("127.0.0.1", 0).value();
        address_ = {.user = "", .host = "127.0.0.1", .port = tcp_local_port(tcp.get()).value()};
        server_->listen_tls(
            std::move(tcp),
            crypto::TlsContext::server(server_key_, crypto::ClientCertificate::required).value());
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
    std::atomic<int> ended_ = 0;
    std::atomic<bool> waiting_ = false;
    std::atomic<bool> cancelled_ = false;
    std::unique_ptr<HttpServer> server_;
    std::thread thread_;
    bool served_ = false;
};

TEST_F(ServerTest, ManyCallsGoOverOneConnection) {
    start();
    authorize();
    auto peer = connect();
    ASSERT_TRUE(peer.has_value()) << peer.error().message();
    EXPECT_EQ(peer->fingerprint(), server_key_.fingerprint);
    EXPECT_EQ(peer->host(), "127.0.0.1");
    for (int i = 0; i < 3; ++i) {
        const auto answer = get(*peer, "/echo/hello%20world?n=" + std::to_string(i));
        ASSERT_TRUE(answer.has_value()) << answer.error().message();
        EXPECT_EQ(answer->at("word"), "hello world");
        EXPECT_EQ(answer->at("query").at("n"), std::to_string(i));
        EXPECT_EQ(answer->at("name"), "node1");
        EXPECT_EQ(answer->at("local"), false);
    }
    EXPECT_EQ(server_->connection_count(), 1U);
}

TEST_F(ServerTest, BodiesAndEmptyAnswersComeThrough) {
    start();
    authorize();
    auto peer = connect().value();
    const Json body{{"text", std::string(500'000, 'x')}, {"list", {1, 2, 3}}};
    EXPECT_EQ(post(peer, "/echo", body).value(), body);
    EXPECT_TRUE(post(peer, "/begin").value().is_null());
}

TEST_F(ServerTest, ErrorsOfHandlersKeepTheirKindAndText) {
    start();
    authorize();
    auto peer = connect().value();
    for (const Errc code :
         {Errc::not_found, Errc::wrong_state, Errc::timeout, Errc::no_space, Errc::cancelled}) {
        const auto answer = post(peer, "/fail", {{"code", errc_name(code)}});
        ASSERT_FALSE(answer.has_value());
        EXPECT_EQ(answer.error().code(), code);
        EXPECT_EQ(answer.error().message(), "as asked");
    }
    EXPECT_EQ(post(peer, "/throw").error().code(), Errc::internal);
    EXPECT_EQ(get(peer, "/nowhere").error().code(), Errc::not_found);
    EXPECT_EQ(get(peer, "/echo").error().code(), Errc::unsupported);
    EXPECT_TRUE(get(peer, "/echo/still-there").has_value());
}

TEST_F(ServerTest, AnUnauthorisedKeyHearsHowToBeAuthorised) {
    start();
    auto peer = connect();
    ASSERT_TRUE(peer.has_value()) << peer.error().message();
    const auto answer = get(*peer, "/echo/x");
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code(), Errc::permission);
    EXPECT_NE(answer.error().message().find("kz-radd --authorize " + client_fingerprint_), std::string::npos)
        << answer.error().message();
    EXPECT_EQ(get(*peer, "/echo/x").error().code(), Errc::unavailable);
}

TEST_F(ServerTest, ARevokedKeyEndsAtTheNextRequest) {
    start();
    authorize();
    auto peer = connect().value();
    ASSERT_TRUE(get(peer, "/echo/x").has_value());
    ASSERT_TRUE(write_file_atomic(server_paths_.rad_dir() / "authorized_keys", "", 0644).has_value());
    EXPECT_EQ(get(peer, "/echo/x").error().code(), Errc::permission);
}

TEST_F(ServerTest, AHostIsAskedAboutOnce) {
    start();
    authorize();
    std::vector<std::string> questions;
    const auto yes = TrustPolicy::ask([&](const std::string& question) {
        questions.push_back(question);
        return true;
    });
    auto peer = connect(yes);
    ASSERT_TRUE(peer.has_value()) << peer.error().message();
    EXPECT_TRUE(get(*peer, "/echo/x").has_value());
    ASSERT_EQ(questions.size(), 1U);
    EXPECT_EQ(questions.front(),
              "The authenticity of host '127.0.0.1' can't be established.\n"
              "Host key fingerprint is " +
                  server_key_.fingerprint +
                  ".\n"
                  "Are you sure you want to continue connecting (yes/no)? ");
    EXPECT_TRUE(connect(yes).has_value());
    EXPECT_TRUE(connect(TrustPolicy::refuse()).has_value());
    EXPECT_EQ(questions.size(), 1U);
}

TEST_F(ServerTest, WithoutAYesAnUnknownHostIsRefused) {
    start();
    const auto no = connect(TrustPolicy::ask([](const std::string&) { return false; }));
    EXPECT_EQ(no.error().code(), Errc::permission);
    const auto nobody = connect(TrustPolicy::refuse());
    ASSERT_FALSE(nobody.has_value());
    EXPECT_EQ(nobody.error().code(), Errc::permission);
    EXPECT_NE(nobody.error().message().find(server_key_.fingerprint), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(client_paths_.rad_dir() / "known_hosts"));
}

TEST_F(ServerTest, AChangedKeyIsRefusedWithBothFingerprints) {
    start();
    const std::string old = "SHA256:" + std::string(42, 'x') + "A";
    ASSERT_TRUE(migrate::remember_host(client_paths_, address_.known_hosts_name(), old).has_value());
    for (const TrustPolicy& policy :
         {TrustPolicy::accept_new(), TrustPolicy::ask([](const std::string&) { return true; }),
          TrustPolicy::exactly(server_key_.fingerprint)}) {
        const auto peer = connect(policy);
        ASSERT_FALSE(peer.has_value());
        EXPECT_EQ(peer.error().code(), Errc::permission);
        EXPECT_NE(peer.error().message().find("HAS CHANGED"), std::string::npos);
        EXPECT_NE(peer.error().message().find(old), std::string::npos);
        EXPECT_NE(peer.error().message().find(server_key_.fingerprint), std::string::npos);
    }
}

TEST_F(ServerTest, AnExpectedFingerprintMustMatch) {
    start();
    authorize();
    const auto other = connect(TrustPolicy::exactly("SHA256:" + std::string(42, 'x') + "A"));
    ASSERT_FALSE(other.has_value());
    EXPECT_EQ(other.error().code(), Errc::permission);
    EXPECT_TRUE(connect(TrustPolicy::exactly(server_key_.fingerprint)).has_value());
    EXPECT_TRUE(connect(TrustPolicy::refuse()).has_value());
}

TEST_F(ServerTest, WhatIsAttachedLivesAsLongAsItsConnection) {
    start();
    authorize();
    auto other = connect().value();
    {
        auto peer = connect().value();
        ASSERT_TRUE(post(peer, "/begin").has_value());
        EXPECT_EQ(post(peer, "/count").value(), 1);
        EXPECT_EQ(post(peer, "/count").value(), 2);
        EXPECT_EQ(post(other, "/count").error().code(), Errc::not_found);
        EXPECT_EQ(ended_, 0);
    }
    EXPECT_TRUE(until([&] { return ended_ == 1; }));
    EXPECT_TRUE(get(other, "/echo/x").has_value());
}

TEST_F(ServerTest, AHandlerHearsThatItsClientHasGone) {
    start();
    authorize();
    auto peer = connect().value();
    const EventFd give_up = EventFd::create().value();
    auto calling =
        std::async(std::launch::async, [&] { return peer.call("POST", "/wait", {}, 20s, give_up.fd()); });
    ASSERT_TRUE(until([&] { return waiting_.load(); }));
    give_up.signal();
    EXPECT_EQ(calling.get().error().code(), Errc::cancelled);
    EXPECT_EQ(get(peer, "/echo/x").error().code(), Errc::unavailable);
    {
        const Peer gone = std::move(peer);
    }
    EXPECT_TRUE(until([&] { return cancelled_.load(); }));
}

TEST_F(ServerTest, StoppingCancelsHandlersAndEndsConnections) {
    start();
    authorize();
    auto peer = connect().value();
    auto calling = std::async(std::launch::async, [&] { return post(peer, "/wait"); });
    ASSERT_TRUE(until([&] { return waiting_.load(); }));
    stop();
    EXPECT_TRUE(cancelled_);
    EXPECT_EQ(calling.get().error().code(), Errc::unavailable);
    EXPECT_EQ(server_->connection_count(), 0U);
}

TEST_F(ServerTest, RootOnThisHostNeedsNoKey) {
    start();
    auto peer = Peer::connect_local(server_paths_, 20s).value();
    const auto answer = get(peer, "/echo/x").value();
    EXPECT_EQ(answer.at("local"), true);
    EXPECT_EQ(answer.at("name"), "root");
}

TEST_F(ServerTest, ATooLargeBodyGets413AndTheEnd) {
    start();
    authorize();
    auto peer = connect().value();
    const auto answer = post(peer, "/echo", {{"text", std::string(1'100'000, 'x')}});
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code(), Errc::no_space) << answer.error().message();
    EXPECT_EQ(get(peer, "/echo/x").error().code(), Errc::unavailable);
}

TEST_F(ServerTest, WhatIsNotHttpGets400) {
    start();
    const UniqueFd fd = connect_raw();
    ASSERT_TRUE(write_all(fd.get(), as_bytes("how do you do?\r\n\r\n"), soon()).has_value());
    EXPECT_TRUE(read_all(fd.get()).starts_with("HTTP/1.1 400 "));
}

TEST_F(ServerTest, ABodyThatIsNotJsonGets400AndTheConnectionGoesOn) {
    start();
    const UniqueFd fd = connect_raw();
    const std::string deep = std::string(100'000, '[');
    for (const std::string& body : {std::string("{"), deep})
        ASSERT_TRUE(
            write_all(fd.get(),
                      as_bytes(fmt::format("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n{}\r\n{}",
                                           body.size(), body == deep ? "Connection: close\r\n" : "", body)),
                      soon())
                .has_value());
    const std::string text = read_all(fd.get());
    EXPECT_TRUE(text.starts_with("HTTP/1.1 400 ")) << text;
    EXPECT_NE(text.rfind("HTTP/1.1 400 "), 0U) << text;
}

TEST_F(ServerTest, ASlowRequestIsCutOff) {
    start({.request = 30ms});
    const UniqueFd fd = connect_raw();
    ASSERT_TRUE(write_all(fd.get(), as_bytes("GET /echo/x HTTP/1.1\r\nHost:"), soon()).has_value());
    EXPECT_TRUE(read_all(fd.get()).starts_with("HTTP/1.1 408 "));
}

TEST_F(ServerTest, AnIdleConnectionEnds) {
    start({.idle = 30ms});
    const UniqueFd fd = connect_raw();
    EXPECT_EQ(read_all(fd.get()), "");
    EXPECT_TRUE(until([&] { return server_->connection_count() == 0; }));
}

TEST_F(ServerTest, AClientThatNeverFinishesItsHandshakeIsDropped) {
    start({.handshake = 30ms});
    const UniqueFd fd = tcp_connect(address_.host, address_.port, soon()).value();
    EXPECT_EQ(read_all(fd.get()), "");
}

TEST_F(ServerTest, ACrowdOfStrangersKeepsNobodyOut) {
    constexpr std::size_t kStrangers = 4;
    start({.strangers = kStrangers, .handshake = 60s});
    authorize();
    auto early = connect().value();
    std::vector<UniqueFd> crowd;
    for (std::size_t i = 0; i < 10 * kStrangers; ++i)
        crowd.push_back(tcp_connect(address_.host, address_.port, soon()).value());
    EXPECT_TRUE(get(early, "/echo/x").has_value());
    auto late = connect();
    ASSERT_TRUE(late.has_value()) << late.error().message();
    EXPECT_TRUE(get(*late, "/echo/x").has_value());
    EXPECT_TRUE(until([&] { return server_->connection_count() <= kStrangers + 2; }));
}

TEST_F(ServerTest, AuthorisedConnectionsAreLimitedToo) {
    start({.connections = 1});
    authorize();
    auto first = connect().value();
    ASSERT_TRUE(get(first, "/echo/x").has_value());
    auto second = connect().value();
    EXPECT_EQ(get(second, "/echo/x").error().code(), Errc::unavailable);
    EXPECT_TRUE(get(first, "/echo/x").has_value());
}

TEST_F(ServerTest, AHostWithoutAServerIsTold) {
    const UniqueFd listener = tcp_listen("127.0.0.1", 0).value();
    address_ = {.user = "", .host = "127.0.0.1", .port = tcp_local_port(listener.get()).value()};
    {
        const UniqueFd closed(::dup(listener.get()));
        ::shutdown(closed.get(), SHUT_RDWR);
    }
    const auto peer = connect();
    ASSERT_FALSE(peer.has_value());
    EXPECT_NE(peer.error().message().find("is kz-radd running there?"), std::string::npos)
        << peer.error().message();
}

}  // namespace
}  // namespace kz::rad
