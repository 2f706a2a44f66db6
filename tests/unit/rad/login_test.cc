// Clients without an authorised key, and how they log in.
#include <set>

#include "rad/login_limits.h"
#include "server_fixture.h"

namespace kz::rad {
namespace {

constexpr std::string_view kPassword = "open sesame";

class LoginTest : public ServerTest {
  protected:
    HttpClient anonymous(const char* source = "127.0.0.1") {
        return HttpClient::over_tls(address_.port, nullptr, source);
    }
};

TEST_F(LoginTest, AStrangerIsToldHowToBeKnown) {
    start();
    auto client = anonymous();
    for (const std::string_view target : {"/echo/x", "/nowhere"}) {
        const Answer answer = client.ask("GET", target);
        EXPECT_EQ(answer.status, 403U);
        EXPECT_EQ(answer.code(), "permission");
        EXPECT_NE(answer.text().find("POST /api/1/login"), std::string::npos) << answer.text();
    }
    EXPECT_EQ(password_checks_, 0);
}

TEST_F(LoginTest, AStrangerHasFewRequests) {
    start({.stranger_requests = 3});
    auto client = anonymous();
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(client.ask("GET", "/echo/x").status, 403U);
    EXPECT_EQ(client.ask("GET", "/echo/x").status, 0U);
}

TEST_F(LoginTest, AStrangerWhoSaysNothingIsDropped) {
    start({.login = 30ms});
    auto client = anonymous();
    EXPECT_TRUE(until([&] { return server_->connection_count() == 0; }));
    EXPECT_EQ(client.ask("GET", "/echo/x").status, 0U);
}

TEST_F(LoginTest, APasswordIsGoodForTheConnection) {
    start();
    give_role("user daemon operator\n");
    auto client = anonymous();
    const Answer answer = client.login("daemon", kPassword);
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.body, (Json{{"user", "daemon"}, {"role", "operator"}}));
    EXPECT_EQ(client.ask("GET", "/echo/x").body["name"], "daemon");
    EXPECT_EQ(client.ask("POST", "/echo", {{"a", 1}}).status, 200U);
    EXPECT_EQ(anonymous().ask("GET", "/echo/x").status, 403U);
    EXPECT_EQ(password_checks_, 1);
}

TEST_F(LoginTest, AnUnauthorisedKeyMayLogInToo) {
    start();
    give_role("user daemon viewer\n");
    const auto key = migrate::load_or_create_host_key(client_paths_).value();
    auto client = HttpClient::over_tls(address_.port, &key);
    EXPECT_EQ(client.ask("GET", "/echo/x").status, 403U);
    EXPECT_EQ(client.login("daemon", kPassword).status, 200U);
    EXPECT_EQ(client.ask("GET", "/echo/x").status, 200U);
    EXPECT_EQ(client.ask("POST", "/echo", {}).status, 403U);
}

TEST_F(LoginTest, EverythingThatIsWrongHasTheSameAnswer) {
    start();
    give_role("user daemon viewer\n");
    std::set<std::string> texts;
    const std::vector<std::pair<std::string, std::string>> wrong{{"daemon", "guess"},
                                                                 {"nobody", "guess"},
                                                                 {"bin", std::string(kPassword)},
                                                                 {"broken", "x"},
                                                                 {"a b", "x"}};
    int last = 1;
    for (const auto& [user, password] : wrong) {
        const std::string source = fmt::format("127.0.0.{}", ++last);
        const Answer answer = anonymous(source.c_str()).login(user, password);
        EXPECT_EQ(answer.status, 401U) << user;
        EXPECT_EQ(answer.code(), "permission");
        texts.insert(answer.text());
    }
    EXPECT_EQ(texts.size(), 1U);
}

TEST_F(LoginTest, ABodyThatIsNoLoginIsRefusedBeforePamIsAsked) {
    start();
    for (const Json& body :
         {Json(), Json::array(), Json{{"user", "daemon"}}, Json{{"password", "x"}},
          Json{{"user", 1}, {"password", "x"}}, Json{{"user", "x"}, {"password", Json::array()}}})
        EXPECT_EQ(anonymous().ask("POST", "/api/1/login", body).status, 400U) << body;
    EXPECT_EQ(password_checks_, 0);
}

TEST_F(LoginTest, GuessingIsSlowedAndKeysAreNot) {
    start();
    authorize();
    give_role("user daemon viewer\n");
    for (unsigned i = 0; i < LoginLimits::kFree; ++i)
        EXPECT_EQ(anonymous().login("daemon", "guess").status, 401U) << "as fast as a person mistypes";
    for (int i = 0; i < 20; ++i) {
        const Answer answer = anonymous().login("daemon", kPassword);
        EXPECT_EQ(answer.status, 429U);
        EXPECT_EQ(answer.code(), "busy");
    }
    EXPECT_EQ(password_checks_, 3);
    auto peer = connect().value();
    EXPECT_TRUE(get(peer, "/echo/x").has_value());
    // Another address has not guessed.
    EXPECT_EQ(anonymous("127.0.0.9").login("daemon", kPassword).status, 200U);
}

TEST_F(LoginTest, ARoleThatIsTakenAwayEndsAtTheNextRequest) {
    start();
    give_role("user daemon operator\n");
    auto client = anonymous();
    ASSERT_EQ(client.login("daemon", kPassword).status, 200U);
    give_role("user daemon viewer\n");
    EXPECT_EQ(client.ask("POST", "/echo", {}).status, 403U);
    EXPECT_EQ(client.ask("GET", "/echo/x").status, 200U);
    give_role("");
    EXPECT_EQ(client.ask("GET", "/echo/x").status, 403U);
    // Nor does a file that cannot be read leave anybody in.
    give_role("user daemon operator\nslip\n");
    EXPECT_EQ(client.ask("GET", "/echo/x").status, 403U);
}

TEST_F(LoginTest, KeysHaveTheRoleOfTheirLine) {
    start();
    ASSERT_TRUE(migrate::authorize_key(server_paths_, client_fingerprint_, "node1", "viewer").has_value());
    auto peer = connect().value();
    EXPECT_TRUE(get(peer, "/echo/x").has_value());
    const auto refused = post(peer, "/echo");
    EXPECT_EQ(refused.error().code(), Errc::permission);
    EXPECT_NE(refused.error().message().find("the role 'viewer' of node1"), std::string::npos);
    ASSERT_TRUE(migrate::authorize_key(server_paths_, client_fingerprint_, "node1", "nonsense").has_value());
    EXPECT_EQ(get(peer, "/echo/x").error().code(), Errc::permission);
}

TEST_F(LoginTest, TheAuditLogHasEverythingButThePassword) {
    start();
    give_role("user daemon operator\n");
    auto client = anonymous();
    EXPECT_EQ(client.login("daemon", "wr0ng-guess").status, 401U);
    auto other = anonymous("127.0.0.2");
    EXPECT_EQ(other.login("daemon", kPassword).status, 200U);
    EXPECT_EQ(other.ask("POST", "/echo", {{"a", 1}}).status, 200U);
    EXPECT_EQ(other.ask("GET", "/echo/x").status, 200U);
    EXPECT_EQ(other.ask("POST", "/fail", {{"code", "busy"}}).status, 409U);
    EXPECT_EQ(client.ask("DELETE", "/echo").status, 403U);
    const std::vector<Json> lines = audit_lines();
    ASSERT_EQ(lines.size(), 5U);
    EXPECT_EQ(lines[0]["action"], "login");
    EXPECT_EQ(lines[0]["user"], "daemon");
    EXPECT_EQ(lines[0]["outcome"], "permission");
    EXPECT_EQ(lines[0]["from"], "127.0.0.1");
    EXPECT_EQ(lines[1]["outcome"], "ok");
    EXPECT_EQ(lines[1]["from"], "127.0.0.2");
    EXPECT_EQ(lines[2]["who"], "daemon");
    EXPECT_EQ(lines[2]["role"], "operator");
    EXPECT_EQ(lines[2]["what"], "POST /echo");
    EXPECT_EQ(lines[3]["outcome"], "busy");
    EXPECT_EQ(lines[4]["what"], "DELETE /echo");
    EXPECT_FALSE(lines[4].contains("role"));
    const std::string all = read_file(server_paths_.log_dir() / "audit.jsonl", 1 << 20).value();
    EXPECT_EQ(all.find(kPassword), std::string::npos);
    EXPECT_EQ(all.find("wr0ng-guess"), std::string::npos);
}

TEST_F(LoginTest, WhoAsksTooOftenWaits) {
    start();
    authorize();
    auto peer = connect().value();
    int refused = 0;
    for (int i = 0; i < 1000 && refused == 0; ++i)
        refused += get(peer, "/echo/x").has_value() ? 0 : 1;
    EXPECT_EQ(refused, 1);
    auto local = Peer::connect_local(server_paths_, 20s).value();
    for (int i = 0; i < 300; ++i)
        ASSERT_TRUE(get(local, "/echo/x").has_value());
}

}  // namespace
}  // namespace kz::rad
