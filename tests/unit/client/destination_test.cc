// The way to another host: keys, passwords and ssh, against a server that says what a test wants and programs
// in ssh's place.
#include "client/destination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "../support/temp_folder.h"
#include "crypto/tls.h"
#include "migrate/peer_http.h"
#include "migrate/peer_keys.h"
#include "migrate/peer_login.h"
#include "os/io.h"
#include "os/socket.h"

namespace kz::client {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

// kz-radd, as far as logging in goes: every connection serves requests until one is refused.
class StubServer {
  public:
    explicit StubServer(const HostPaths& paths)
        : key_(migrate::load_or_create_host_key(paths).value()),
          tls_(crypto::TlsContext::server(key_, crypto::ClientCertificate::required).value()),
          listener_(tcp_listen("127.0.0.1", 0).value()),
          stop_(EventFd::create().value()) {
        thread_ = std::jthread([this] { run(); });
    }
    ~StubServer() { stop_.signal(); }
    StubServer(const StubServer&) = delete;
    StubServer& operator=(const StubServer&) = delete;

    std::string address(const std::string& user = {}) const {
        return fmt::format("{}127.0.0.1:{}", user.empty() ? "" : user + "@",
                           tcp_local_port(listener_.get()).value());
    }
    const std::string& fingerprint() const { return key_.fingerprint; }

    std::atomic<bool> knows_key = false;
    std::atomic<bool> limited = false;
    std::atomic<int> logins = 0;
    std::string password = "open sesame";
    std::string last_user;

  private:
    void run() {
        while (auto socket = accept_connection(listener_.get(), Deadline::never(), stop_.fd())) {
            auto stream = crypto::TlsStream::accept(
                *std::move(socket), tls_, [](const std::string&) { return true; }, Deadline::after(20s));
            if (stream) serve(*migrate::make_transport(*std::move(stream)));
        }
    }
    void serve(migrate::Transport& transport) {
        migrate::HttpReader reader{migrate::HttpLimits{}};
        bool known = knows_key;
        while (const auto request = reader.read_request(transport, Deadline::after(20s), stop_.fd())) {
            const migrate::HttpResponse response = answer(*request, known);
            const std::string text = migrate::render_response(response);
            if (!transport.write_all(as_bytes(text), Deadline::after(20s), -1) || !response.keep_alive) {
                transport.finish(Deadline::after(1s));
                return;
            }
        }
    }
    migrate::HttpResponse answer(const migrate::HttpRequest& request, bool& known) {
        if (request.target == "/api/1/login") {
            ++logins;
            const Json body = parse_json(request.body).value();
            last_user = body["user"];
            if (limited) return refusal(429, "busy", "too many attempts; wait a minute");
            if (body["password"] != password) return refusal(401, "permission", "wrong");
            known = true;
            return {.status = 200, .body = R"({"user":"x","role":"full"})"};
        }
        if (!known) return refusal(403, "permission", "this host does not authorise the key K");
        return {.status = 200, .body = R"({"ciphers":["aes-128-ccm"]})"};
    }
    static migrate::HttpResponse refusal(unsigned status, const char* code, const char* message) {
        const Json body{{"error", {{"code", code}, {"message", message}}}};
        return {.status = status, .body = render_json(body), .keep_alive = false};
    }

    crypto::HostKey key_;
    crypto::TlsContext tls_;
    UniqueFd listener_;
    EventFd stop_;
    std::jthread thread_;
};

class DestinationTest : public testing::Test {
  protected:
    Result<Destination> connect(bool live = true) {
        Reporter reporter;
        reporter.message = [this](const std::string& text) { said_.push_back(text); };
        return Destination::connect(paths_, options_, reporter, live);
    }
    // Answers the prompts in order.
    void type(std::vector<std::string> passwords) {
        options_.ask_password = [this, passwords,
                                 next = 0U](const std::string& prompt) mutable -> Result<Secret> {
            prompts_.push_back(prompt);
            if (next == passwords.size()) return fail(Errc::cancelled, "no answer was given");
            return Secret(as_bytes(passwords[next++]));
        };
    }
    static std::vector<std::string> ciphers(Destination& destination) {
        const Json json = destination.peer().call("GET", "/api/1/migration-ciphers", nullptr, 20s).value();
        return json["ciphers"].get<std::vector<std::string>>();
    }

    test::TempFolder folder_;
    test::TempFolder server_folder_;
    HostPaths paths_{folder_.path()};
    MigrateOptions options_;
    std::vector<std::string> said_;
    std::vector<std::string> prompts_;
};

class OverRads : public DestinationTest {
  protected:
    OverRads() {
        options_.destination = server_.address();
        options_.accept_new_host_key = true;
    }
    StubServer server_{HostPaths(server_folder_.path())};
};

TEST_F(OverRads, AKnownKeyIsEnough) {
    server_.knows_key = true;
    type({});
    auto destination = connect();
    ASSERT_TRUE(destination.has_value()) << destination.error().message();
    EXPECT_THAT(ciphers(*destination), ElementsAre("aes-128-ccm"));
    Json request = Json::object();
    EXPECT_TRUE(destination->hand_to_monitor(request).value().empty());
    EXPECT_EQ(request, Json::object());
    EXPECT_TRUE(prompts_.empty());
    EXPECT_EQ(server_.logins, 0);
}

TEST_F(OverRads, AnUnknownKeyAndNobodyToAskIsAClearError) {
    const auto destination = connect();
    ASSERT_FALSE(destination.has_value());
    EXPECT_EQ(destination.error().code(), Errc::permission);
    EXPECT_THAT(destination.error().message(), HasSubstr("does not authorise the key"));
    EXPECT_THAT(destination.error().message(), HasSubstr("ssh://127.0.0.1"));
}

TEST_F(OverRads, AnUnknownKeyAndATerminalMeansAPassword) {
    type({"open sesame"});
    auto destination = connect();
    ASSERT_TRUE(destination.has_value()) << destination.error().message();
    EXPECT_THAT(prompts_, ElementsAre("Password: "));
    EXPECT_THAT(ciphers(*destination), ElementsAre("aes-128-ccm"));
    EXPECT_FALSE(server_.last_user.empty()) << "the name of who is logged in here";
}

TEST_F(OverRads, AUserWhoWasNamedIsAskedAlthoughTheKeyIsKnown) {
    server_.knows_key = true;
    options_.destination = server_.address("admin");
    type({"open sesame"});
    auto destination = connect();
    ASSERT_TRUE(destination.has_value()) << destination.error().message();
    EXPECT_EQ(server_.last_user, "admin");
}

TEST_F(OverRads, ThePasswordGoesToTheMonitorInAPipeAndInNoText) {
    options_.destination = server_.address("admin");
    type({"open sesame"});
    auto destination = connect();
    ASSERT_TRUE(destination.has_value()) << destination.error().message();
    Json request = Json::object();
    const auto descriptors = destination->hand_to_monitor(request).value();
    EXPECT_EQ(request, (Json{{"login", "admin"}}));
    ASSERT_EQ(descriptors.size(), 1U);
    const Secret read = migrate::password_from_pipe(descriptors.front().get(), Deadline::after(20s)).value();
    EXPECT_EQ(as_text(read.view()), "open sesame");
}

TEST_F(OverRads, ThereAreThreeAttempts) {
    options_.destination = server_.address("admin");
    type({"a", "b", "open sesame"});
    EXPECT_TRUE(connect().has_value());
    EXPECT_EQ(said_.size(), 2U);
    EXPECT_THAT(said_.front(), HasSubstr("does not accept this password for user 'admin'"));
    type({"a", "b", "c", "open sesame"});
    prompts_.clear();
    const auto refused = connect();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), Errc::permission);
    EXPECT_EQ(prompts_.size(), 3U);
    EXPECT_THAT(refused.error().message(), testing::Not(HasSubstr("open sesame")));
}

TEST_F(OverRads, AServerThatHadEnoughIsNotAskedAgain) {
    server_.limited = true;
    options_.destination = server_.address("admin");
    type({"a", "b"});
    const auto refused = connect();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), Errc::busy);
    EXPECT_EQ(refused.error().message(), "too many attempts; wait a minute");
    EXPECT_EQ(server_.logins, 1);
}

TEST_F(OverRads, WhoGivesUpAtThePromptIsNotLoggedIn) {
    options_.destination = server_.address("admin");
    type({});
    EXPECT_EQ(connect().error().code(), Errc::cancelled);
    EXPECT_EQ(server_.logins, 0);
}

TEST_F(OverRads, ANamedUserWithoutATerminalIsToldOfKeys) {
    options_.destination = server_.address("admin");
    const auto refused = connect();
    ASSERT_FALSE(refused.has_value());
    for (const char* word : {"--authorize", "--fingerprint", "ssh://127.0.0.1", "leave 'admin@' out"})
        EXPECT_THAT(refused.error().message(), HasSubstr(word));
}

TEST_F(OverRads, OnlyTheKeyThatWasNamedIsTrusted) {
    server_.knows_key = true;
    options_.accept_new_host_key = false;
    EXPECT_THAT(connect().error().message(), HasSubstr("--accept-new"));
    options_.host_fingerprint = migrate::load_or_create_host_key(paths_).value().fingerprint;
    EXPECT_THAT(connect().error().message(), HasSubstr("not the expected"));
    options_.host_fingerprint = server_.fingerprint();
    EXPECT_TRUE(connect().has_value());
}

TEST_F(OverRads, ATunnelNeedsSsh) {
    options_.tunnel = true;
    const auto refused = connect();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), Errc::invalid_argument);
    EXPECT_THAT(refused.error().message(), HasSubstr("ssh://127.0.0.1"));
}

class OverSsh : public DestinationTest {
  protected:
    OverSsh() { options_.destination = "ssh://node2"; }
    ~OverSsh() override { ::unsetenv("KZONES_SSH"); }
    // `script` runs for the connection; `ssh -G` says that node2 is at the address.
    void fake(const std::string& script) {
        const Path file = folder_.path() / "ssh";
        std::ofstream(file) << "#!/bin/sh\nif [ \"$1\" = -G ]; then echo hostname 192.0.2.7; exit 0; fi\n"
                            << "echo \"$*\" > " << (folder_.path() / "called").string() << "\n"
                            << script;
        ::chmod(file.c_str(), 0755);
        ::setenv("KZONES_SSH", file.c_str(), 1);
    }
    std::string called() const {
        std::ifstream file(folder_.path() / "called");
        std::string line;
        std::getline(file, line);
        return line;
    }
};

constexpr const char* kServes =
    "while IFS= read -r line; do\n"
    "  [ ${#line} -gt 1 ] || printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 25\\r\\n\\r\\n"
    "{\"ciphers\":[\"aes-128-ccm\"]}'\n"
    "done\n";

std::string serves() {
    std::string script = kServes;
    const std::string body = R"({"ciphers":["aes-128-ccm"]})";
    script.replace(script.find("25"), 2, std::to_string(body.size()));
    return script;
}

TEST_F(OverSsh, TheStreamGoesToTheMonitorWithTheHostThatSshKnows) {
    fake(serves());
    auto destination = connect();
    ASSERT_TRUE(destination.has_value()) << destination.error().message();
    EXPECT_THAT(ciphers(*destination), ElementsAre("aes-128-ccm"));
    Json request = Json::object();
    auto descriptors = destination->hand_to_monitor(request).value();
    EXPECT_EQ(request, (Json{{"memory_host", "192.0.2.7"}}));
    ASSERT_EQ(descriptors.size(), 1U);
    auto monitors = migrate::Peer::on_stream({}, std::move(descriptors.front())).value();
    EXPECT_TRUE(monitors.call("GET", "/api/1/migration-ciphers", nullptr, 20s).has_value());
    {
        const auto ended = std::move(monitors);
    }
    EXPECT_EQ(destination->explain(Error(Errc::io, "a disk is full")).message(), "a disk is full");
}

TEST_F(OverSsh, ATunnelIsOnlyMadeForMemory) {
    fake(serves());
    options_.tunnel = true;
    auto live = connect(/*live=*/true);
    ASSERT_TRUE(live.has_value()) << live.error().message();
    EXPECT_THAT(called(), HasSubstr("-L ./8102:127.0.0.1:8102"));
    Json request = Json::object();
    EXPECT_TRUE(live->hand_to_monitor(request).has_value());
    EXPECT_THAT(request["memory_socket"].get<std::string>(), HasSubstr("/run/zones/ssh-"));
    ASSERT_TRUE(connect(/*live=*/false).has_value());
    EXPECT_THAT(called(), testing::Not(HasSubstr(" -L ")));
}

TEST_F(OverSsh, AcceptNewIsForSshToo) {
    fake(serves());
    options_.accept_new_host_key = true;
    ASSERT_TRUE(connect().has_value());
    EXPECT_THAT(called(), HasSubstr("StrictHostKeyChecking=accept-new"));
    options_.accept_new_host_key = false;
    options_.host_fingerprint = "SHA256:" + std::string(43, 'A');
    EXPECT_EQ(connect().error().code(), Errc::invalid_argument);
}

TEST_F(OverSsh, WhatSshSaysIsTold) {
    fake("echo 'Host key verification failed.' >&2; exit 255\n");
    const auto refused = connect();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), Errc::permission);
    EXPECT_THAT(refused.error().message(), HasSubstr("--accept-new"));
    fake("echo 'sh: 1: exec: kz-radd: not found' >&2; exit 127\n");
    EXPECT_EQ(connect().error().code(), Errc::not_found);
}

TEST_F(OverSsh, AnotherProgramAtTheOtherEndIsNamedAsSuch) {
    fake("echo 'Last login: yesterday'; echo; cat > /dev/null\n");
    EXPECT_THAT(connect().error().message(), HasSubstr("is not kz-radd"));
}

TEST_F(OverSsh, ADeathOnTheWayIsExplained) {
    fake(
        "read -r line; while IFS= read -r line && [ ${#line} -gt 1 ]; do :; done\n"
        "printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}'\n"
        "read -r line; echo 'Timeout, server node2 not responding.' >&2; exit 255\n");
    auto destination = connect();
    ASSERT_TRUE(destination.has_value()) << destination.error().message();
    auto failed = destination->peer().call("GET", "/api/1/host", nullptr, 20s);
    ASSERT_FALSE(failed.has_value());
    EXPECT_THAT(destination->explain(failed.error()).message(), HasSubstr("does not answer any more"));
}

TEST_F(OverSsh, MayBeCancelledWhileItConnects) {
    fake("exec sleep 1000\n");
    const EventFd cancel = EventFd::create().value();
    cancel.signal();
    Reporter reporter;
    reporter.cancel_fd = cancel.fd();
    EXPECT_EQ(Destination::connect(paths_, options_, reporter, false).error().code(), Errc::cancelled);
}

}  // namespace
}  // namespace kz::client
