#include <future>

#include "server_fixture.h"

namespace kz::rad {
namespace {

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
    // It may be authorised while it is connected.
    authorize();
    EXPECT_TRUE(get(*peer, "/echo/x").has_value());
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

TEST_F(ServerTest, AMigrationMayBeSilentForLongerThanOthers) {
    start({.idle = 30ms});
    authorize();
    auto moving = connect().value();
    ASSERT_TRUE(post(moving, "/hold").has_value());
    auto other = connect().value();
    ASSERT_TRUE(post(other, "/begin").has_value());
    // The one that does not hold its connection has lost it, and the silence was as long for both.
    ASSERT_TRUE(until([&] { return ended_ == 1; }));
    EXPECT_TRUE(post(moving, "/count").has_value());
    ASSERT_TRUE(post(moving, "/let-go").has_value());
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
