#include "migrate/checks_link.h"

#include <gtest/gtest.h>

#include <thread>

#include "../support/temp_folder.h"
#include "base/log.h"
#include "migrate/gateway.h"
#include "os/file.h"
#include "os/socket.h"

namespace kz::migrate {
namespace {

using namespace std::chrono_literals;

class LinkTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(make_directories(paths_.run_dir(), 0755).has_value());
        UniqueFd tcp = tcp_listen("127.0.0.1", 0).value();
        port_ = tcp_local_port(tcp.get()).value();
        gateway_ = std::make_unique<Gateway>(std::move(tcp), unix_listen(paths_.migrd_socket(), 0600).value(),
                                             GatewayLimits{}, log_);
        thread_ = std::thread([this] { served_ = gateway_->run(stop_.fd()).has_value(); });
    }
    void TearDown() override {
        stop_.signal();
        thread_.join();
        EXPECT_TRUE(served_);
    }
    Result<ChannelConnection> connect(const Session& session) {
        return connect_channel("127.0.0.1", port_, session.id, session.secret, 0, Deadline::after(20s));
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    Log log_{UniqueFd(), "test"};
    EventFd stop_ = EventFd::create().value();
    std::uint16_t port_ = 0;
    std::unique_ptr<Gateway> gateway_;
    std::thread thread_;
    bool served_ = false;
};

TEST_F(LinkTest, EveryCipherIsMeasured) {
    for (const crypto::Cipher cipher : crypto::all_ciphers()) {
        const auto sink = LinkSink::open(paths_, cipher);
        ASSERT_TRUE(sink) << sink.error().message();
        const auto connection = connect((*sink)->session());
        ASSERT_TRUE(connection) << connection.error().message();
        const auto speed = measure_link(*connection, (*sink)->session(), cipher, 3 << 20);
        ASSERT_TRUE(speed) << speed.error().message();
        EXPECT_GT(speed->bytes, 0U);
        EXPECT_LE(speed->bytes, 3U << 20);
        EXPECT_GT(speed->bytes_per_second(), 0U);
    }
}

TEST_F(LinkTest, ThatThereIsAWayCanBeSeenWithoutSendingAnything) {
    const auto sink = LinkSink::open(paths_, crypto::Cipher::aes_128_gcm).value();
    const auto connection = connect(sink->session()).value();
    const auto speed = measure_link(connection, sink->session(), crypto::Cipher::aes_128_gcm, 0);
    ASSERT_TRUE(speed) << speed.error().message();
    EXPECT_EQ(speed->bytes, 0U);
    EXPECT_EQ(speed->bytes_per_second(), 0U);
}

TEST_F(LinkTest, ItIsOneConnectionOnly) {
    const auto sink = LinkSink::open(paths_, crypto::Cipher::aes_128_gcm).value();
    const auto first = connect(sink->session()).value();
    EXPECT_FALSE(connect(sink->session()));
}

TEST_F(LinkTest, AnotherCipherIsNotTaken) {
    const auto sink = LinkSink::open(paths_, crypto::Cipher::aes_128_gcm).value();
    const auto connection = connect(sink->session()).value();
    EXPECT_FALSE(measure_link(connection, sink->session(), crypto::Cipher::aes_256_gcm, 1 << 20));
}

TEST_F(LinkTest, TheEndOfTheSinkEndsTheMeasurement) {
    auto sink = LinkSink::open(paths_, crypto::Cipher::aes_128_gcm).value();
    const Session session{sink->session().id, sink->session().secret.clone()};
    const auto connection = connect(session).value();
    sink.reset();
    EXPECT_FALSE(measure_link(connection, session, crypto::Cipher::aes_128_gcm, 1 << 20));
}

TEST_F(LinkTest, CanBeCancelled) {
    const auto sink = LinkSink::open(paths_, crypto::Cipher::aes_128_gcm).value();
    const auto connection = connect(sink->session()).value();
    const EventFd cancel = EventFd::create().value();
    cancel.signal();
    const auto speed =
        measure_link(connection, sink->session(), crypto::Cipher::aes_128_gcm, 1 << 20, cancel.fd());
    ASSERT_FALSE(speed);
    EXPECT_EQ(speed.error().code(), Errc::cancelled);
}

TEST_F(LinkTest, NobodyThereIsSaid) {
    const HostPaths elsewhere(folder_.path() / "elsewhere");
    EXPECT_FALSE(LinkSink::open(elsewhere, crypto::Cipher::aes_128_gcm));
}

}  // namespace
}  // namespace kz::migrate
