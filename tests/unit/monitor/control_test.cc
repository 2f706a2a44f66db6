#include <gtest/gtest.h>

#include <barrier>
#include <future>
#include <thread>
#include <vector>

#include "../support/temp_folder.h"
#include "monitor/control_server.h"
#include "os/file.h"
#include "os/socket.h"

namespace kz::monitor {
namespace {

using namespace std::chrono_literals;

Deadline soon() {
    return Deadline::after(20s);
}

class ControlTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(make_directories(paths_.zone_run_dir("z1"), 0755).has_value()); }
    void serve(ControlServer::Handler handler, std::function<void()> cancel = [] {}) {
        server_ = ControlServer::open(socket_, std::move(handler), std::move(cancel)).value();
    }
    ControlClient connect() const { return ControlClient::connect(paths_, "z1").value(); }
    Result<Json> call(const Json& request) const {
        Result<ControlClient> client = ControlClient::connect(paths_, "z1");
        if (!client) return std::unexpected(client.error());
        return client->call(request, soon());
    }
    UniqueFd connect_raw() const { return unix_connect(socket_, soon()).value(); }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    Path socket_ = paths_.control_socket("z1");
    std::unique_ptr<ControlServer> server_;
};

// The words on the socket; a client of another version reads them.
TEST(ControlWordsTest, Outcomes) {
    EXPECT_EQ(render_json(outcome_to_json(Json{{"bytes", 7}})), R"({"ok":{"bytes":7}})");
    EXPECT_EQ(render_json(outcome_to_json(fail(Errc::wrong_state, "not running"))),
              R"({"error":{"code":"wrong_state","message":"not running"}})");
}

TEST_F(ControlTest, ARequestIsAnswered) {
    serve([](const Json& request, Caller&) -> Result<Json> { return Json{{"echo", request}}; });
    const Result<Json> answer = call({{"op", "status"}, {"number", 5}});
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ((*answer)["echo"], Json({{"op", "status"}, {"number", 5}}));
}

TEST_F(ControlTest, NotesArriveInOrderBeforeTheOutcome) {
    serve([](const Json&, Caller& caller) -> Result<Json> {
        caller.message("Checking migration compatibility.");
        caller.progress({{"sent", 1}});
        caller.progress({{"sent", 2}});
        caller.message("Starting migration.");
        return Json::object();
    });
    std::vector<std::string> notes;
    const ControlClient::Listener listener{
        .message = [&](const std::string& text) { notes.push_back(text); },
        .progress = [&](const Json& figures) { notes.push_back(figures.dump()); }};
    ASSERT_TRUE(connect().call({{"op", "migrate"}}, listener, soon()).has_value());
    EXPECT_EQ(notes, (std::vector<std::string>{"Checking migration compatibility.", R"({"sent":1})",
                                               R"({"sent":2})", "Starting migration."}));
    EXPECT_TRUE(call({{"op", "migrate"}}).has_value()) << "a client that wants no notes";
}

TEST_F(ControlTest, EveryErrorArrivesAsItIs) {
    serve([](const Json& request, Caller&) -> Result<Json> {
        return fail(static_cast<Errc>(request["number"].get<int>()), "zone 'é' is\nnot \"right\"");
    });
    for (int number = 1; number <= static_cast<int>(Errc::internal); ++number) {
        const Result<Json> answer = call({{"op", "boot"}, {"number", number}});
        ASSERT_FALSE(answer.has_value());
        EXPECT_EQ(static_cast<int>(answer.error().code()), number);
        EXPECT_EQ(answer.error().message(), "zone 'é' is\nnot \"right\"");
    }
}

TEST_F(ControlTest, CancelReachesTheOperationAndTheOutcomeIsAwaited) {
    const EventFd cancelled = EventFd::create().value();
    serve(
        [&](const Json&, Caller& caller) -> Result<Json> {
            caller.message("working");
            KZ_CHECK(wait_readable(cancelled.fd(), soon()));
            return fail(Errc::cancelled, "the zone goes on running");
        },
        [&] { cancelled.signal(); });
    const EventFd user = EventFd::create().value();
    const ControlClient::Listener listener{.message = [&](const std::string&) { user.signal(); },
                                           .progress = {}};
    const Result<Json> answer = connect().call({{"op", "suspend"}}, listener, soon(), user.fd());
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code(), Errc::cancelled);
    EXPECT_EQ(answer.error().message(), "the zone goes on running");
}

TEST_F(ControlTest, ACancelThatCameTooLateIsNoError) {
    const EventFd cancelled = EventFd::create().value();
    serve(
        [&](const Json&, Caller& caller) -> Result<Json> {
            caller.message("past the commit");
            KZ_CHECK(wait_readable(cancelled.fd(), soon()));
            return Json{{"moved", true}};
        },
        [&] { cancelled.signal(); });
    const EventFd user = EventFd::create().value();
    user.signal();
    const Result<Json> answer = connect().call({{"op", "migrate"}}, {}, soon(), user.fd());
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ((*answer)["moved"], true);
}

TEST_F(ControlTest, OtherWordsWhileAnOperationRunsCancelNothing) {
    std::promise<void> begun;
    std::promise<void> go_on;
    bool cancelled = false;
    serve(
        [&](const Json&, Caller&) -> Result<Json> {
            begun.set_value();
            go_on.get_future().wait();
            return Json::object();
        },
        [&] { cancelled = true; });
    const UniqueFd fd = connect_raw();
    ASSERT_TRUE(send_message(fd.get(), R"({"op":"suspend"})", {}, soon()).has_value());
    begun.get_future().wait();
    ASSERT_TRUE(send_message(fd.get(), R"({"op":"status"})", {}, soon()).has_value());
    go_on.set_value();
    EXPECT_EQ(receive_message(fd.get(), soon()).value().text, R"({"ok":{}})");
    server_.reset();
    EXPECT_FALSE(cancelled);
}

TEST_F(ControlTest, RequestsAreHandledAtTheSameTime) {
    std::barrier meet(3);
    serve([&](const Json&, Caller&) -> Result<Json> {
        meet.arrive_and_wait();
        return Json::object();
    });
    std::vector<std::future<Result<Json>>> calls;
    for (int i = 0; i < 3; ++i)
        calls.push_back(std::async(std::launch::async, [this] { return call({{"op", "status"}}); }));
    for (auto& each : calls)
        EXPECT_TRUE(each.get().has_value());
}

TEST_F(ControlTest, ACallerThatHasGoneStopsNothing) {
    std::promise<void> begun;
    std::promise<void> gone;
    std::promise<void> done;
    bool cancelled = false;
    serve(
        [&](const Json& request, Caller& caller) -> Result<Json> {
            if (request["op"] == "status") return Json::object();
            begun.set_value();
            gone.get_future().wait();
            for (int i = 0; i < 100; ++i)
                caller.message("Is anybody there?");
            done.set_value();
            return Json::object();
        },
        [&] { cancelled = true; });
    {
        const UniqueFd fd = connect_raw();
        ASSERT_TRUE(send_message(fd.get(), R"({"op":"suspend"})", {}, soon()).has_value());
        begun.get_future().wait();
    }
    gone.set_value();
    EXPECT_EQ(done.get_future().wait_for(20s), std::future_status::ready);
    EXPECT_TRUE(call({{"op", "status"}}).has_value());
    server_.reset();
    EXPECT_FALSE(cancelled) << "only a cancel cancels";
}

TEST_F(ControlTest, WhatIsNoRequestIsRefused) {
    bool handled = false;
    serve([&](const Json& request, Caller&) -> Result<Json> {
        handled = handled || request["op"] != "status";
        return Json::object();
    });
    for (const std::string_view text :
         {"", "boot", "[]", "5", "{}", R"({"op":5})", R"({"op":null})", "{\"op\":"}) {
        const UniqueFd fd = connect_raw();
        ASSERT_TRUE(send_message(fd.get(), text, {}, soon()).has_value());
        const Json answer = parse_json(receive_message(fd.get(), soon()).value().text).value();
        EXPECT_EQ(answer["error"]["code"], "corrupt") << text;
    }
    const UniqueFd oversize = connect_raw();
    ASSERT_TRUE(write_all(oversize.get(), as_bytes("\xff\xff\xff\x7f"), soon()).has_value());
    const Json answer = parse_json(receive_message(oversize.get(), soon()).value().text).value();
    EXPECT_EQ(answer["error"]["code"], "protocol");
    connect_raw().reset();  // a caller that says nothing and goes
    EXPECT_TRUE(call({{"op", "status"}}).has_value());
    EXPECT_FALSE(handled);
}

TEST_F(ControlTest, ConnectionsThatSayNothingAreLimited) {
    serve([](const Json&, Caller&) -> Result<Json> { return Json::object(); });
    std::vector<UniqueFd> silent;
    for (int i = 0; i < 16; ++i)
        silent.push_back(connect_raw());
    const Result<Json> refused = call({{"op", "status"}});
    ASSERT_FALSE(refused.has_value());
    EXPECT_TRUE(refused.error().message().starts_with("lost the zone's monitor: ") ||
                refused.error().code() == Errc::unavailable || refused.error().code() == Errc::io)
        << refused.error().message();
    silent.clear();
    const Deadline deadline = soon();
    while (!call({{"op", "status"}}))
        ASSERT_FALSE(deadline.passed());
}

TEST_F(ControlTest, TheEndOfTheServerWaitsForWhatIsBeingDone) {
    std::promise<void> begun;
    std::promise<void> go_on;
    serve([&](const Json&, Caller&) -> Result<Json> {
        begun.set_value();
        go_on.get_future().wait();
        return Json{{"done", true}};
    });
    const UniqueFd silent = connect_raw();
    auto answer = std::async(std::launch::async, [this] { return call({{"op", "halt"}}); });
    begun.get_future().wait();
    auto ended = std::async(std::launch::async, [this] { server_.reset(); });
    const Deadline deadline = soon();
    while (std::filesystem::exists(socket_))
        ASSERT_FALSE(deadline.passed());
    go_on.set_value();
    ASSERT_EQ(ended.wait_for(20s), std::future_status::ready) << "a silent caller does not hold it up";
    const Result<Json> outcome = answer.get();
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ((*outcome)["done"], true);
}

TEST_F(ControlTest, AZoneWithoutAMonitor) {
    auto client = ControlClient::connect(paths_, "z1");
    ASSERT_FALSE(client.has_value());
    EXPECT_EQ(client.error().code(), Errc::not_found);
    EXPECT_EQ(client.error().message(), "the zone has no running monitor");
    // What a killed monitor leaves: the socket, and nobody who listens.
    unix_listen(socket_, 0600).value().reset();
    ASSERT_TRUE(std::filesystem::exists(socket_));
    client = ControlClient::connect(paths_, "z1");
    ASSERT_FALSE(client.has_value());
    EXPECT_EQ(client.error().code(), Errc::not_found);
}

// Answers of a server that is none of ours.
class ForeignServerTest : public ControlTest {
  protected:
    Result<Json> call_answered_with(const std::vector<std::string>& answers) {
        const UniqueFd listener = unix_listen(socket_, 0600).value();
        const std::jthread server([&] {
            const UniqueFd fd = accept_connection(listener.get(), soon()).value();
            [[maybe_unused]] const auto request = receive_message(fd.get(), soon());
            for (const std::string& answer : answers) [[maybe_unused]]
                const auto sent = send_message(fd.get(), answer, {}, soon());
        });
        return call({{"op", "status"}});
    }
};

TEST_F(ForeignServerTest, WhatIsNotUnderstoodIsAnError) {
    for (const std::string text : {"", "ok", "[1]", "\"ok\"", "{\"ok\":"}) {
        const Result<Json> answer = call_answered_with({text});
        ASSERT_FALSE(answer.has_value());
        EXPECT_EQ(answer.error().code(), Errc::protocol) << text;
    }
}

TEST_F(ForeignServerTest, NotesOfOtherKindsAreLeftOut) {
    const Result<Json> answer = call_answered_with(
        {R"({"weather":"fine"})", R"({"message":5})", R"({"progress":null})", R"({"ok":{"a":1}})"});
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ((*answer)["a"], 1);
}

TEST_F(ForeignServerTest, AnErrorWithoutItsPartsIsStillAnError) {
    for (const std::string text :
         {R"({"error":{}})", R"({"error":5})", R"({"error":{"code":"new","message":7}})"}) {
        const Result<Json> answer = call_answered_with({text});
        ASSERT_FALSE(answer.has_value());
        EXPECT_EQ(answer.error().code(), Errc::internal) << text;
    }
}

TEST_F(ForeignServerTest, AMonitorThatEndsWithoutAnOutcome) {
    const Result<Json> answer = call_answered_with({R"({"message":"working"})"});
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code(), Errc::unavailable);
    EXPECT_TRUE(answer.error().message().starts_with("lost the zone's monitor: "))
        << answer.error().message();
}

}  // namespace
}  // namespace kz::monitor
