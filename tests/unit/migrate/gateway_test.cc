#include "migrate/gateway.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fstream>
#include <future>
#include <thread>

#include "../support/temp_folder.h"
#include "base/log.h"
#include "crypto/random.h"
#include "migrate/session.h"
#include "migrate/session_wire.h"
#include "os/file.h"
#include "os/io.h"
#include "os/socket.h"

namespace kz::migrate {
namespace {

using namespace std::chrono_literals;

Deadline soon() {
    return Deadline::after(20s);
}

std::size_t resident_kilobytes() {
    std::ifstream status("/proc/self/status");
    std::string line;
    while (std::getline(status, line))
        if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
    return 0;
}

class GatewayTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(make_directories(paths_.run_dir(), 0755).has_value());
        ASSERT_TRUE(crypto::fill_random(id_).has_value());
    }
    void TearDown() override { stop_gateway(); }

    void start(GatewayLimits limits = {}) {
        UniqueFd tcp = tcp_listen("127.0.0.1", 0).value();
        port_ = tcp_local_port(tcp.get()).value();
        gateway_ = std::make_unique<Gateway>(std::move(tcp), unix_listen(paths_.migrd_socket(), 0600).value(),
                                             limits, log_);
        thread_ = std::thread([this] { served_ = gateway_->run(stop_.fd()).has_value(); });
    }
    void stop_gateway() {
        if (!thread_.joinable()) return;
        stop_.signal();
        thread_.join();
        EXPECT_TRUE(served_);
        gateway_.reset();
    }

    Result<SessionRegistration> open(const SessionId& id, unsigned connections) {
        return SessionRegistration::open(paths_, id, key_, connections, soon());
    }
    Result<ChannelConnection> connect(unsigned channel) {
        return connect_channel("127.0.0.1", port_, id_, key_, channel, soon());
    }
    UniqueFd connect_raw() { return tcp_connect("127.0.0.1", port_, soon()).value(); }

    // Waits until a counter has reached a value.
    template <typename Condition>
    bool until(Condition condition) {
        const Deadline limit = soon();
        while (!condition(gateway_->counters())) {
            if (limit.passed()) return false;
            std::this_thread::sleep_for(1ms);
        }
        return true;
    }
    // Waits for the other end to close the connection.
    static bool closed_by_other_end(int fd) {
        std::array<Byte, 1> byte;
        const auto got = read_some(fd, byte, soon());
        return (got && *got == 0) || (!got && got.error().sys_errno() == ECONNRESET);
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    Log log_{UniqueFd(), "test"};
    EventFd stop_ = EventFd::create().value();
    SessionId id_{};
    Secret key_ = crypto::random_secret(kProofKeySize).value();
    std::uint16_t port_ = 0;
    std::unique_ptr<Gateway> gateway_;
    std::thread thread_;
    bool served_ = false;
};

TEST_F(GatewayTest, ChannelsReachTheirMonitorAndCarryData) {
    start();
    auto session = open(id_, 2);
    ASSERT_TRUE(session.has_value()) << session.error().message();
    for (const unsigned channel : {1U, 0U}) {
        auto connecting = std::async(std::launch::async, [&] { return connect(channel); });
        auto received = session->next(soon());
        ASSERT_TRUE(received.has_value()) << received.error().message();
        auto sent = connecting.get();
        ASSERT_TRUE(sent.has_value()) << sent.error().message();
        EXPECT_EQ(received->channel, channel);
        EXPECT_EQ(received->nonce, sent->nonce);

        ASSERT_TRUE(write_all(sent->fd.get(), as_bytes("page"), soon()).has_value());
        std::array<Byte, 4> page;
        ASSERT_TRUE(read_exact(received->fd.get(), page, soon()).has_value());
        EXPECT_EQ(as_text(page), "page");
        ASSERT_TRUE(write_all(received->fd.get(), as_bytes("done"), soon()).has_value());
        ASSERT_TRUE(read_exact(sent->fd.get(), page, soon()).has_value());
        EXPECT_EQ(as_text(page), "done");
    }
    EXPECT_TRUE(until(
        [](const GatewayCounters& now) { return now == GatewayCounters{.accepted = 2, .handed_over = 2}; }));
}

TEST_F(GatewayTest, TwoSessionsGetTheirOwnConnections) {
    start();
    SessionId other_id = id_;
    other_id[0] ^= 1;
    auto session = open(id_, 1).value();
    auto other = open(other_id, 1).value();
    auto connecting = std::async(
        std::launch::async, [&] { return connect_channel("127.0.0.1", port_, other_id, key_, 0, soon()); });
    const auto received = other.next(soon());
    ASSERT_TRUE(received.has_value()) << received.error().message();
    EXPECT_EQ(connecting.get().value().nonce, received->nonce);
    EXPECT_EQ(session.next(Deadline::after(1ms)).error().code(), Errc::timeout);
}

TEST_F(GatewayTest, HandedConnectionsOutliveTheGateway) {
    start();
    auto session = open(id_, 1).value();
    auto connecting = std::async(std::launch::async, [&] { return connect(0); });
    const auto received = session.next(soon()).value();
    const auto sent = connecting.get().value();
    stop_gateway();
    ASSERT_TRUE(write_all(sent.fd.get(), as_bytes("x"), soon()).has_value());
    std::array<Byte, 1> byte;
    EXPECT_TRUE(read_exact(received.fd.get(), byte, soon()).has_value());
    EXPECT_EQ(session.next(soon()).error().code(), Errc::unavailable);
}

TEST_F(GatewayTest, AnUnknownSessionIsRefused) {
    start();
    const auto sent = connect(0);
    ASSERT_FALSE(sent.has_value());
    EXPECT_EQ(sent.error().code(), Errc::permission);
    EXPECT_EQ(gateway_->counters().unknown_session, 1U);
}

TEST_F(GatewayTest, AWrongProofIsRefusedAndTakesNoChannel) {
    start();
    auto session = open(id_, 1).value();
    const Secret wrong = crypto::random_secret(kProofKeySize).value();
    EXPECT_EQ(connect_channel("127.0.0.1", port_, id_, wrong, 0, soon()).error().code(), Errc::permission);
    EXPECT_EQ(gateway_->counters().wrong_proof, 1U);
    auto connecting = std::async(std::launch::async, [&] { return connect(0); });
    EXPECT_TRUE(session.next(soon()).has_value());
    EXPECT_TRUE(connecting.get().has_value());
}

TEST_F(GatewayTest, AReplayedHelloIsRefused) {
    start();
    auto session = open(id_, 1).value();
    const HelloBytes hello = stream::encode_hello(stream::make_hello(id_, 0, key_.view()).value());
    const UniqueFd first = connect_raw();
    ASSERT_TRUE(write_all(first.get(), hello, soon()).has_value());
    ASSERT_TRUE(session.next(soon()).has_value());
    const UniqueFd second = connect_raw();
    ASSERT_TRUE(write_all(second.get(), hello, soon()).has_value());
    EXPECT_TRUE(closed_by_other_end(second.get()));
    EXPECT_EQ(gateway_->counters().repeated_channel, 1U);
}

TEST_F(GatewayTest, AChannelBeyondTheSessionsIsRefused) {
    start();
    auto session = open(id_, 2).value();
    EXPECT_EQ(connect(2).error().code(), Errc::permission);
    EXPECT_EQ(gateway_->counters().repeated_channel, 1U);
}

TEST_F(GatewayTest, GarbageIsRefused) {
    start();
    const UniqueFd fd = connect_raw();
    ASSERT_TRUE(write_all(fd.get(), Bytes(stream::kHelloSize, 0x47), soon()).has_value());
    EXPECT_TRUE(closed_by_other_end(fd.get()));
    EXPECT_EQ(gateway_->counters().malformed, 1U);
}

TEST_F(GatewayTest, AHelloMayComeByteByByte) {
    start();
    auto session = open(id_, 1).value();
    const HelloBytes hello = stream::encode_hello(stream::make_hello(id_, 0, key_.view()).value());
    const UniqueFd fd = connect_raw();
    for (const Byte each : hello)
        ASSERT_TRUE(write_all(fd.get(), ByteView(&each, 1), soon()).has_value());
    EXPECT_TRUE(session.next(soon()).has_value());
}

TEST_F(GatewayTest, ASilentConnectionIsDroppedInTime) {
    start({.hello_timeout = 30ms});
    const auto began = std::chrono::steady_clock::now();
    const UniqueFd silent = connect_raw();
    const UniqueFd half = connect_raw();
    ASSERT_TRUE(write_all(half.get(), Bytes(10), soon()).has_value());
    EXPECT_TRUE(closed_by_other_end(silent.get()));
    EXPECT_TRUE(closed_by_other_end(half.get()));
    EXPECT_GE(std::chrono::steady_clock::now() - began, 30ms);
    EXPECT_TRUE(until([](const GatewayCounters& now) { return now.silent == 2; }));
}

TEST_F(GatewayTest, ACrowdOfIdleConnectionsKeepsNobodyOutAndCostsNothing) {
    constexpr std::size_t kPending = 64;
    constexpr std::size_t kCrowd = 500;
    start({.hello_timeout = 60s, .pending = kPending});
    auto session = open(id_, 1).value();
    const std::size_t before = resident_kilobytes();
    std::vector<UniqueFd> crowd;
    for (std::size_t i = 0; i < kCrowd; ++i)
        crowd.push_back(connect_raw());
    ASSERT_TRUE(until([&](const GatewayCounters& now) { return now.accepted == kCrowd; }));
    EXPECT_EQ(gateway_->counters().displaced, kCrowd - kPending);
    // Only the test's own vector and what the allocator rounds up to.
    EXPECT_LT(resident_kilobytes(), before + 2048);
    EXPECT_TRUE(closed_by_other_end(crowd.front().get()));
    auto connecting = std::async(std::launch::async, [&] { return connect(0); });
    EXPECT_TRUE(session.next(soon()).has_value());
    EXPECT_TRUE(connecting.get().has_value());
}

TEST_F(GatewayTest, ASessionEndsWithItsRegistration) {
    start();
    {
        auto session = open(id_, 1).value();
        EXPECT_EQ(open(id_, 1).error().code(), Errc::already_exists);
    }
    // The gateway sees the end of the first before the second registration, or at the latest soon after.
    const Deadline limit = soon();
    auto again = open(id_, 1);
    while (!again && !limit.passed())
        again = open(id_, 1);
    ASSERT_TRUE(again.has_value()) << again.error().message();
}

TEST_F(GatewayTest, AClosedRegistrationTakesNoConnections) {
    start();
    {
        auto session = open(id_, 1).value();
    }
    // A registration that follows is answered after the end of the first was seen.
    SessionId other = id_;
    other[0] ^= 1;
    auto later = open(other, 1).value();
    EXPECT_EQ(connect(0).error().code(), Errc::permission);
}

TEST_F(GatewayTest, SessionsAreLimited) {
    start({.sessions = 1});
    auto session = open(id_, 1).value();
    SessionId other = id_;
    other[0] ^= 1;
    const auto second = open(other, 1);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code(), Errc::busy);
}

TEST_F(GatewayTest, AnUnreadableRegistrationIsAnsweredAndDropped) {
    start();
    const UniqueFd fd = unix_connect(paths_.migrd_socket(), soon()).value();
    ASSERT_TRUE(send_message(fd.get(), "nonsense", {}, soon()).has_value());
    EXPECT_EQ(receive_message(fd.get(), soon()).value().text, "protocol not a registration of a session");
    EXPECT_EQ(receive_message(fd.get(), soon()).error().code(), Errc::unavailable);
}

TEST_F(GatewayTest, WithoutTheDaemonTheErrorSaysHowToStartIt) {
    const auto session = open(id_, 1);
    ASSERT_FALSE(session.has_value());
    EXPECT_EQ(session.error().code(), Errc::unavailable);
    EXPECT_NE(session.error().message().find("kz-migrd --daemon"), std::string::npos);
}

TEST_F(GatewayTest, WaitingCanBeCancelled) {
    start();
    auto session = open(id_, 1).value();
    const EventFd cancel = EventFd::create().value();
    cancel.signal();
    EXPECT_EQ(session.next(soon(), cancel.fd()).error().code(), Errc::cancelled);
    // Nobody takes the connection from the session: the source waits, and can be cancelled too.
    EXPECT_EQ(connect_channel("127.0.0.1", port_, id_, key_, 0, soon(), cancel.fd()).error().code(),
              Errc::cancelled);
}

TEST_F(GatewayTest, AnImpostorWithoutTheKeyIsNoticedByTheSource) {
    const UniqueFd listener = tcp_listen("127.0.0.1", 0).value();
    port_ = tcp_local_port(listener.get()).value();
    auto connecting = std::async(std::launch::async, [&] { return connect(0); });
    const UniqueFd fd = accept_connection(listener.get(), soon()).value();
    Bytes forged(33, 0);
    forged[0] = 'K';
    ASSERT_TRUE(write_all(fd.get(), forged, soon()).has_value());
    EXPECT_EQ(connecting.get().error().code(), Errc::protocol);
}

}  // namespace
}  // namespace kz::migrate
