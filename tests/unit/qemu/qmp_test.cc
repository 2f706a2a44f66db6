#include "qemu/qmp.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>

#include <atomic>
#include <future>

#include "fake_qemu.h"

namespace kz::qemu {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class QmpTest : public testing::Test {
  protected:
    static void SetUpTestSuite() { ::signal(SIGPIPE, SIG_IGN); }

    std::future<Result<json>> execute(Qmp& qmp, std::string command, Deadline deadline = soon()) {
        return std::async(std::launch::async, [&qmp, command = std::move(command), deadline] {
            return qmp.execute(command, json::object(), deadline);
        });
    }
    FakeQemu qemu_;
};

TEST_F(QmpTest, AttachNegotiatesAndKeepsTheVersion) {
    const auto qmp = qemu_.attach();
    EXPECT_EQ(qmp->version()["major"], 7);
    EXPECT_TRUE(qmp->connected());
}

TEST_F(QmpTest, GreetingMayComeInParts) {
    std::jthread peer([this] {
        const std::string greeting = std::string(FakeQemu::kGreeting) + "\r\n";
        for (std::size_t i = 0; i < greeting.size(); i += 7)
            qemu_.say_raw(greeting.substr(i, 7));
        qemu_.answer(qemu_.hear());
    });
    EXPECT_TRUE(Qmp::attach(qemu_.take_client(), soon()));
}

TEST_F(QmpTest, AttachFailsWithoutGreeting) {
    const auto silent = Qmp::attach(qemu_.take_client(), Deadline::after(std::chrono::milliseconds(50)));
    ASSERT_FALSE(silent);
    EXPECT_EQ(silent.error().code(), Errc::timeout);
}

TEST_F(QmpTest, AttachFailsWhenThePeerIsNotQemu) {
    qemu_.say("SSH-2.0-OpenSSH_9.2");
    EXPECT_EQ(Qmp::attach(qemu_.take_client(), soon()).error().code(), Errc::protocol);
    FakeQemu closing;
    closing.hang_up();
    EXPECT_EQ(Qmp::attach(closing.take_client(), soon()).error().code(), Errc::unavailable);
    FakeQemu eventful;
    eventful.event("STOP");
    EXPECT_EQ(Qmp::attach(eventful.take_client(), soon()).error().code(), Errc::protocol);
}

TEST_F(QmpTest, AttachFailsWhenNegotiationIsRefused) {
    std::jthread peer([this] {
        qemu_.say(FakeQemu::kGreeting);
        const json id = qemu_.hear()["id"];
        qemu_.say(
            fmt::format(R"({{"error": {{"class": "GenericError", "desc": "no"}}, "id": {}}})", id.dump()));
    });
    EXPECT_THAT(Qmp::attach(qemu_.take_client(), soon()).error().message(),
                HasSubstr("qmp_capabilities: no"));
}

TEST_F(QmpTest, CommandsGoOutOfBandWhereQemuOffersThat) {
    std::jthread greeter([this] {
        qemu_.say(
            R"({"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}, "capabilities": ["oob"]}})");
        const json negotiation = qemu_.hear();
        EXPECT_EQ(negotiation["arguments"], json::parse(R"({"enable": ["oob"]})"));
        qemu_.answer(negotiation);
        const json command = qemu_.hear();
        EXPECT_EQ(command["exec-oob"], "migrate-recover");
        EXPECT_FALSE(command.contains("execute"));
        qemu_.answer(command);
    });
    const auto qmp = Qmp::attach(qemu_.take_client(), soon());
    ASSERT_TRUE(qmp) << qmp.error().message();
    EXPECT_TRUE((*qmp)->execute_out_of_band("migrate-recover"));
}

TEST_F(QmpTest, CommandsDoNotGoOutOfBandWhereQemuDoesNotOfferThat) {
    const auto qmp = qemu_.attach();
    EXPECT_EQ(qmp->execute_out_of_band("migrate-recover").error().code(), Errc::unsupported);
}

TEST_F(QmpTest, RepliesFindTheirCommandsInAnyOrderAmongEvents) {
    const auto qmp = qemu_.attach();
    auto first = execute(*qmp, "one");
    const json one = qemu_.hear();
    auto second = execute(*qmp, "two");
    const json two = qemu_.hear();
    qemu_.event("STOP");
    qemu_.answer(two, R"({"n": 2})");
    qemu_.event("RESUME");
    qemu_.answer(one, R"({"n": 1})");
    EXPECT_EQ((*first.get())["n"], 1);
    EXPECT_EQ((*second.get())["n"], 2);
}

TEST_F(QmpTest, ErrorsCarryClassAndDescription) {
    const auto qmp = qemu_.attach();
    const auto error_of = [&](std::string_view error_class) {
        auto reply = execute(*qmp, "device_del");
        qemu_.say(fmt::format(R"({{"error": {{"class": "{}", "desc": "why not"}}, "id": {}}})", error_class,
                              qemu_.hear()["id"].dump()));
        return reply.get().error();
    };
    EXPECT_EQ(error_of("GenericError").message(), "device_del: why not");
    EXPECT_EQ(error_of("GenericError").code(), Errc::io);
    EXPECT_EQ(error_of("DeviceNotFound").message(), "device_del: why not (DeviceNotFound)");
    EXPECT_EQ(error_of("DeviceNotFound").code(), Errc::not_found);
    EXPECT_EQ(error_of("CommandNotFound").code(), Errc::not_found);
    EXPECT_EQ(error_of("DeviceNotActive").code(), Errc::wrong_state);
}

TEST_F(QmpTest, LateReplyIsDropped) {
    const auto qmp = qemu_.attach();
    const auto late = qmp->execute("slow", json::object(), Deadline::after(std::chrono::milliseconds(20)));
    EXPECT_EQ(late.error().code(), Errc::timeout);
    const json slow = qemu_.hear();
    auto next = execute(*qmp, "next");
    const json command = qemu_.hear();
    qemu_.answer(slow, R"("late")");
    qemu_.answer(command, R"("in time")");
    EXPECT_EQ(*next.get(), "in time");
}

TEST_F(QmpTest, ReplyThatNobodyAskedForEndsTheConnection) {
    std::promise<Error> lost;
    const auto qmp = qemu_.attach({.on_close = [&](const Error& why) { lost.set_value(why); }});
    qemu_.say(R"({"return": {}, "id": 999})");
    EXPECT_EQ(lost.get_future().get().code(), Errc::protocol);
    EXPECT_FALSE(qmp->connected());
    EXPECT_EQ(qmp->execute("cont").error().code(), Errc::protocol);
    EXPECT_EQ(qemu_.hear(), nullptr);
}

TEST_F(QmpTest, GarbageEndsTheConnectionAndItsCommands) {
    const auto qmp = qemu_.attach();
    auto reply = execute(*qmp, "cont");
    EXPECT_EQ(qemu_.hear()["execute"], "cont");
    qemu_.say(
        "\x7f"
        "ELF");
    EXPECT_EQ(reply.get().error().code(), Errc::protocol);
    EXPECT_EQ(qemu_.hear(), nullptr);
}

TEST_F(QmpTest, CloseInTheMiddleOfAReplyIsUnavailable) {
    const auto qmp = qemu_.attach();
    auto reply = execute(*qmp, "cont");
    EXPECT_EQ(qemu_.hear()["execute"], "cont");
    qemu_.say_raw(R"({"return": {)");
    qemu_.hang_up();
    const auto outcome = reply.get();
    EXPECT_EQ(outcome.error().code(), Errc::unavailable);
    EXPECT_EQ(outcome.error().message(), "cont: QEMU closed the monitor connection");
}

TEST_F(QmpTest, HugeLineEndsTheConnection) {
    std::promise<Error> lost;
    const auto qmp = qemu_.attach({.on_close = [&](const Error& why) { lost.set_value(why); }});
    const std::string part(1 << 20, 'x');
    for (std::size_t sent = 0; sent <= kMaxQmpLine; sent += part.size())
        qemu_.say_raw(part);
    EXPECT_THAT(lost.get_future().get().message(), HasSubstr("a line of more than"));
}

TEST_F(QmpTest, CommandToQemuThatDoesNotReadTimesOut) {
    const auto qmp = qemu_.attach();
    const json large = {{"text", std::string(8 << 20, 'x')}};
    const auto outcome = qmp->execute("large", large, Deadline::after(std::chrono::milliseconds(50)));
    EXPECT_EQ(outcome.error().code(), Errc::timeout);
    // Half a command is out: the connection is of no more use, and says so.
    EXPECT_NE(qmp->execute("next", json::object(), soon()).error().code(), Errc::timeout);
}

TEST_F(QmpTest, CloseCancelsWhatWaits) {
    const auto qmp = qemu_.attach();
    auto reply = execute(*qmp, "slow", Deadline::never());
    EXPECT_EQ(qemu_.hear()["execute"], "slow");
    qmp->close();
    EXPECT_EQ(reply.get().error().code(), Errc::cancelled);
    qmp->close();
}

TEST_F(QmpTest, DescriptorRidesOnTheCommand) {
    const auto qmp = qemu_.attach();
    const UniqueFd passed(::open("/dev/null", O_RDWR | O_CLOEXEC));
    auto reply = std::async(std::launch::async,
                            [&] { return qmp->execute_with_fd("getfd", {{"fdname", "x"}}, passed.get()); });
    std::array<char, 512> text{};
    iovec part{text.data(), text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(qemu_.fd(), &header, MSG_CMSG_CLOEXEC);
    ASSERT_GT(got, 0);
    const json command = json::parse(std::string_view(text.data(), static_cast<std::size_t>(got)));
    EXPECT_EQ(command["arguments"]["fdname"], "x");
    const cmsghdr* rights = CMSG_FIRSTHDR(&header);
    ASSERT_NE(rights, nullptr);
    ASSERT_EQ(rights->cmsg_len, CMSG_LEN(sizeof(int)));
    int received = -1;
    std::memcpy(&received, CMSG_DATA(rights), sizeof received);
    const UniqueFd owner(received);
    EXPECT_EQ(::write(received, "x", 1), 1);
    qemu_.answer(command);
    EXPECT_TRUE(reply.get());
}

TEST_F(QmpTest, HandlerSeesEveryEventInOrder) {
    std::vector<std::string> seen;
    std::promise<void> done;
    const auto qmp = qemu_.attach({.on_event = [&](const QmpEvent& event) {
        seen.push_back(event.name);
        if (event.name == "LAST") done.set_value();
    }});
    for (const char* name : {"STOP", "RESUME", "LAST"})
        qemu_.event(name);
    done.get_future().wait();
    EXPECT_THAT(seen, testing::ElementsAre("STOP", "RESUME", "LAST"));
}

TEST_F(QmpTest, CommandInAHandlerIsRefused) {
    Qmp* raw = nullptr;
    std::promise<Errc> refused;
    const auto qmp = qemu_.attach(
        {.on_event = [&](const QmpEvent&) { refused.set_value(raw->execute("cont").error().code()); }});
    raw = qmp.get();
    qemu_.event("STOP");
    EXPECT_EQ(refused.get_future().get(), Errc::internal);
}

TEST_F(QmpTest, SubscriptionMissesNothingAndKeepsOrder) {
    const auto qmp = qemu_.attach();
    auto wait = EventWait::subscribe(*qmp, {"MIGRATION", "STOP"});
    ASSERT_TRUE(wait);
    for (const char* name : {"MIGRATION", "RESUME", "STOP", "MIGRATION"})
        qemu_.event(name);
    auto reply = execute(*qmp, "sync");
    qemu_.answer(qemu_.hear());
    ASSERT_TRUE(reply.get());
    EXPECT_EQ(wait->next(soon())->name, "MIGRATION");
    EXPECT_EQ(wait->next(soon())->name, "STOP");
    EXPECT_EQ(wait->next(soon())->name, "MIGRATION");
    EXPECT_EQ(wait->next(Deadline::after(std::chrono::milliseconds(10))).error().code(), Errc::timeout);
    qemu_.event("STOP");
    EXPECT_EQ(wait->next(soon())->name, "STOP");
}

TEST_F(QmpTest, SubscriptionEndsAfterItsEvents) {
    auto qmp = qemu_.attach();
    auto wait = EventWait::subscribe(*qmp, {});
    ASSERT_TRUE(wait);
    qemu_.event("SHUTDOWN");
    qemu_.hang_up();
    ASSERT_TRUE(wait_readable(wait->fd(), soon()));
    EXPECT_EQ(wait->next(soon())->name, "SHUTDOWN");
    EXPECT_EQ(wait->next(soon()).error().code(), Errc::unavailable);
    // It is the connection's end that it reports, also to one made too late and after the Qmp is gone.
    auto late = EventWait::subscribe(*qmp, {});
    qmp.reset();
    EXPECT_EQ(late->next(soon()).error().code(), Errc::unavailable);
    EXPECT_EQ(wait->next(soon()).error().code(), Errc::unavailable);
}

TEST_F(QmpTest, SubscriptionCanBeCancelled) {
    const auto qmp = qemu_.attach();
    const auto cancel = EventFd::create();
    ASSERT_TRUE(cancel);
    auto waiting = std::async(std::launch::async,
                              [&] { return wait_event(*qmp, {"STOP"}, Deadline::never(), cancel->fd()); });
    cancel->signal();
    EXPECT_EQ(waiting.get().error().code(), Errc::cancelled);
}

TEST_F(QmpTest, SubscriptionThatNobodyReadsIsBounded) {
    const auto qmp = qemu_.attach();
    auto wait = EventWait::subscribe(*qmp, {"X"});
    ASSERT_TRUE(wait);
    constexpr int kMany = 16384 + 5;
    for (int i = 0; i < kMany; ++i)
        qemu_.event("X");
    auto reply = execute(*qmp, "sync");
    qemu_.answer(qemu_.hear());
    ASSERT_TRUE(reply.get());
    for (int i = 0; i < 16384; ++i)
        ASSERT_TRUE(wait->next(soon()));
    EXPECT_EQ(wait->next(soon()).error().code(), Errc::protocol);
}

TEST_F(QmpTest, ManyThreadsAtOnce) {
    const auto qmp = qemu_.attach();
    constexpr int kThreads = 8;
    constexpr int kRounds = 200;
    std::jthread peer([this] {
        for (int i = 0; i < kThreads * kRounds; ++i) {
            const json command = qemu_.hear();
            qemu_.event("TICK");
            qemu_.answer(command, command["arguments"].dump());
        }
    });
    std::atomic<int> right = 0;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < kRounds; ++i) {
                    const json sent = {{"n", t * kRounds + i}};
                    const auto reply = qmp->execute("echo", sent);
                    if (reply && *reply == sent) ++right;
                }
            });
        }
    }
    EXPECT_EQ(right, kThreads * kRounds);
}

}  // namespace
}  // namespace kz::qemu
