#include "crypto/tls.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <thread>

#include "crypto/random.h"
#include "os/io.h"
#include "os/socket.h"
#include "test_bytes.h"

namespace kz::crypto {
namespace {

using namespace std::chrono_literals;

Deadline in(std::chrono::milliseconds span) {
    return Deadline::after(span);
}

PeerCheck only(std::string wanted) {
    return [wanted](const std::string& fingerprint) { return fingerprint == wanted; };
}

class Tls : public testing::Test {
  protected:
    // Both handshakes at the same time over a fresh socket pair.
    struct Ends {
        Result<TlsStream> client;
        Result<TlsStream> server;
    };
    Ends meet(const TlsContext& client_context, PeerCheck client_check, PeerCheck server_check,
              ClientCertificate demand = ClientCertificate::required) {
        auto [near, far] = unix_socket_pair().value();
        const TlsContext server_context = TlsContext::server(server_key_, demand).value();
        auto accepted = std::async(std::launch::async, [&, fd = std::move(far)]() mutable {
            return TlsStream::accept(std::move(fd), server_context, server_check, in(20s));
        });
        auto client = TlsStream::connect(std::move(near), client_context, client_check, in(20s));
        return {std::move(client), accepted.get()};
    }

    HostKey client_key_ = generate_host_key("node1").value();
    HostKey server_key_ = generate_host_key("node2").value();
    TlsContext client_context_ = TlsContext::client(client_key_).value();
};

TEST_F(Tls, TwoHostsThatKnowEachOtherTalk) {
    Ends ends = meet(client_context_, only(server_key_.fingerprint), only(client_key_.fingerprint));
    ASSERT_TRUE(ends.client.has_value()) << ends.client.error().message();
    ASSERT_TRUE(ends.server.has_value()) << ends.server.error().message();
    EXPECT_EQ(ends.client->peer_fingerprint(), server_key_.fingerprint);
    EXPECT_EQ(ends.server->peer_fingerprint(), client_key_.fingerprint);

    const Bytes sent = random_bytes(3'000'000).value();
    auto writing = std::async(std::launch::async, [&] {
        auto written = ends.client->write_all(sent, in(20s));
        return written ? ends.client->shutdown(in(20s)) : written;
    });
    Bytes got, buffer(70'000);
    while (true) {
        const auto part = ends.server->read_some(buffer, in(20s));
        ASSERT_TRUE(part.has_value()) << part.error().message();
        if (*part == 0) break;
        got.insert(got.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*part));
    }
    EXPECT_TRUE(writing.get().has_value());
    EXPECT_EQ(got, sent);

    ASSERT_TRUE(ends.server->write_all(as_bytes("answer after the end"), in(20s)).has_value());
    EXPECT_EQ(ends.client->read_some(buffer, in(20s)).value(), 20U);
}

TEST_F(Tls, AClientThatDoesNotKnowTheServerStops) {
    Ends ends = meet(client_context_, only("SHA256:other"), only(client_key_.fingerprint));
    ASSERT_FALSE(ends.client.has_value());
    EXPECT_EQ(ends.client.error().code(), Errc::permission) << ends.client.error().message();
    ASSERT_FALSE(ends.server.has_value());
    EXPECT_EQ(ends.server.error().code(), Errc::permission) << ends.server.error().message();
}

TEST_F(Tls, AServerThatDoesNotKnowTheClientStops) {
    Ends ends = meet(client_context_, only(server_key_.fingerprint), only(server_key_.fingerprint));
    ASSERT_FALSE(ends.server.has_value());
    EXPECT_EQ(ends.server.error().code(), Errc::permission) << ends.server.error().message();
    Bytes buffer(10);
    ASSERT_TRUE(ends.client.has_value()) << "TLS 1.3 lets the client hear of it with its first read";
    const auto got = ends.client->read_some(buffer, in(20s));
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code(), Errc::permission) << got.error().message();
}

TEST_F(Tls, NoPeerCheckMeansNobody) {
    Ends ends = meet(client_context_, PeerCheck(), only(client_key_.fingerprint));
    EXPECT_EQ(ends.client.error().code(), Errc::permission);
}

TEST_F(Tls, AClientWithoutKeyOnlyWhereItIsOptional) {
    const TlsContext anonymous = TlsContext::anonymous_client().value();
    const auto nobody = [](const std::string&) { return false; };
    Ends refused = meet(anonymous, only(server_key_.fingerprint), nobody);
    EXPECT_EQ(refused.server.error().code(), Errc::permission) << refused.server.error().message();

    Ends let_in = meet(anonymous, only(server_key_.fingerprint), nobody, ClientCertificate::optional);
    ASSERT_TRUE(let_in.server.has_value()) << let_in.server.error().message();
    EXPECT_EQ(let_in.server->peer_fingerprint(), "");

    Ends unknown = meet(client_context_, only(server_key_.fingerprint), nobody, ClientCertificate::optional);
    EXPECT_EQ(unknown.server.error().code(), Errc::permission) << "a key that is shown must be a known one";
}

TEST_F(Tls, GarbageIsAProtocolError) {
    auto [near, far] = unix_socket_pair().value();
    ASSERT_TRUE(write_all(far.get(), as_bytes("GET / HTTP/1.1\r\nHost: node2\r\n\r\n"), in(5s)).has_value());
    const auto server = TlsStream::accept(
        std::move(near), TlsContext::server(server_key_, ClientCertificate::required).value(),
        only(client_key_.fingerprint), in(5s));
    ASSERT_FALSE(server.has_value());
    EXPECT_EQ(server.error().code(), Errc::protocol) << server.error().message();
}

TEST_F(Tls, ASilentPeerRunsIntoTheDeadline) {
    auto [near, far] = unix_socket_pair().value();
    const auto client = TlsStream::connect(std::move(near), client_context_, only("x"), in(50ms));
    ASSERT_FALSE(client.has_value());
    EXPECT_EQ(client.error().code(), Errc::timeout);

    Ends ends = meet(client_context_, only(server_key_.fingerprint), only(client_key_.fingerprint));
    Bytes buffer(10);
    EXPECT_EQ(ends.client->read_some(buffer, in(50ms)).error().code(), Errc::timeout);
    ASSERT_TRUE(ends.server->write_all(as_bytes("late"), in(5s)).has_value());
    EXPECT_EQ(ends.client->read_some(buffer, in(5s)).value(), 4U) << "a timeout harms nothing";
    EXPECT_EQ(ends.client->write_all(Bytes(20'000'000), in(100ms)).error().code(), Errc::timeout);
}

TEST_F(Tls, CanBeCancelled) {
    auto [near, far] = unix_socket_pair().value();
    const EventFd cancel = EventFd::create().value();
    cancel.signal();
    const auto client =
        TlsStream::connect(std::move(near), client_context_, only("x"), Deadline::never(), cancel.fd());
    ASSERT_FALSE(client.has_value());
    EXPECT_EQ(client.error().code(), Errc::cancelled);
}

TEST_F(Tls, APeerThatGoesWithoutAWordIsAnError) {
    Ends ends = meet(client_context_, only(server_key_.fingerprint), only(client_key_.fingerprint));
    ends.server = fail(Errc::internal, "dropped");
    Bytes buffer(10);
    EXPECT_EQ(ends.client->read_some(buffer, in(5s)).error().code(), Errc::unavailable);
}

TEST_F(Tls, WritingToOneThatHasGoneRaisesNoSignal) {
    Ends ends = meet(client_context_, only(server_key_.fingerprint), only(client_key_.fingerprint));
    ends.server = fail(Errc::internal, "dropped");
    EXPECT_EQ(ends.client->write_all(Bytes(100'000), in(5s)).error().code(), Errc::unavailable);
}

TEST_F(Tls, Tls12IsRefused) {
    auto [near, far] = unix_socket_pair().value();
    std::thread old_client([fd = far.get()] {
        SSL_CTX* context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
        SSL* ssl = SSL_new(context);
        SSL_set_fd(ssl, fd);
        EXPECT_LT(SSL_connect(ssl), 1);
        SSL_free(ssl);
        SSL_CTX_free(context);
    });
    const auto server = TlsStream::accept(
        std::move(near), TlsContext::server(server_key_, ClientCertificate::optional).value(), only("x"),
        in(20s));
    old_client.join();
    ASSERT_FALSE(server.has_value());
    EXPECT_EQ(server.error().code(), Errc::protocol) << server.error().message();
}

}  // namespace
}  // namespace kz::crypto
