#include "migrate/peer_http.h"

#include <gtest/gtest.h>

#include <future>

#include "os/io.h"
#include "os/socket.h"

namespace kz::migrate {
namespace {

using namespace std::chrono_literals;

class HttpMessages : public testing::Test {
  protected:
    HttpMessages() {
        auto [near, far] = unix_socket_pair().value();
        far_ = std::move(far);
        transport_ = make_transport(std::move(near)).value();
    }
    // What the other end sends, and its end.
    void receive(std::string_view text, bool end = true) {
        ASSERT_TRUE(write_all(far_.get(), as_bytes(text), Deadline::after(5s)).has_value());
        if (end) far_.reset();
    }
    Result<HttpRequest> request() { return reader_.read_request(*transport_, Deadline::after(5s)); }
    Result<HttpResponse> response() { return reader_.read_response(*transport_, Deadline::after(5s)); }

    UniqueFd far_;
    std::unique_ptr<Transport> transport_;
    HttpReader reader_{HttpLimits{.header = 1024, .body = 4096}};
};

TEST_F(HttpMessages, ARequestComesBackAsItWasRendered) {
    const std::string body = R"({"zone":"mig1"})";
    receive(render_request({.method = "POST", .target = "/api/1/migrations?x=1", .body = WipedText(body)},
                           "node2"));
    const auto got = request();
    ASSERT_TRUE(got.has_value()) << got.error().message();
    EXPECT_EQ(got->method, "POST");
    EXPECT_EQ(got->target, "/api/1/migrations?x=1");
    EXPECT_EQ(std::string_view(got->body), body);
    EXPECT_TRUE(got->keep_alive);
}

TEST_F(HttpMessages, AResponseComesBackAsItWasRendered) {
    receive(render_response({.status = 409, .body = "{}", .keep_alive = false}));
    const auto got = response();
    ASSERT_TRUE(got.has_value()) << got.error().message();
    EXPECT_EQ(got->status, 409U);
    EXPECT_EQ(got->body, "{}");
    EXPECT_FALSE(got->keep_alive);
}

TEST_F(HttpMessages, AnAnswerWithoutContentHasNoLength) {
    const std::string text = render_response({.status = 204});
    EXPECT_EQ(text.find("Content-Length"), std::string::npos) << text;
    receive(text, /*end=*/false);
    EXPECT_EQ(response().value().status, 204U);
}

TEST_F(HttpMessages, MessagesThatArriveTogetherAreReadOneByOne) {
    receive("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(request().value().target, "/a");
    EXPECT_TRUE(reader_.wait(*transport_, Deadline::after(5s)).value());
    EXPECT_EQ(request().value().target, "/b");
    EXPECT_FALSE(reader_.wait(*transport_, Deadline::after(5s)).value());
}

TEST_F(HttpMessages, AChunkedBodyIsRefused) {
    receive("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    EXPECT_EQ(request().error().code(), Errc::protocol);
}

TEST_F(HttpMessages, ABodyMayComeInPieces) {
    auto receiving = std::async(std::launch::async, [&] { return request(); });
    for (const char each : std::string_view("POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"))
        receive({&each, 1}, /*end=*/false);
    EXPECT_EQ(receiving.get().value().body, "abc");
}

TEST_F(HttpMessages, ABodyBeyondTheLimitIsRefusedBeforeItComes) {
    receive("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4097\r\n\r\n", /*end=*/false);
    EXPECT_EQ(request().error().code(), Errc::no_space);
}

TEST_F(HttpMessages, AHeaderBeyondTheLimitIsRefused) {
    receive("GET / HTTP/1.1\r\nX: " + std::string(2000, 'x'), /*end=*/false);
    EXPECT_EQ(request().error().code(), Errc::no_space);
}

TEST_F(HttpMessages, WhatIsNotHttpIsAProtocolError) {
    receive("\x16\x03\x01 hello, is this TLS?\r\n\r\n");
    EXPECT_EQ(request().error().code(), Errc::protocol);
}

TEST_F(HttpMessages, AMessageThatIsCutOffIsNotTakenAsWhole) {
    receive("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345");
    EXPECT_EQ(request().error().code(), Errc::unavailable);
}

TEST_F(HttpMessages, AnEndInsteadOfAMessageIsAnError) {
    receive("");
    EXPECT_EQ(request().error().code(), Errc::unavailable);
    EXPECT_EQ(response().error().code(), Errc::unavailable);
}

TEST_F(HttpMessages, ASlowMessageEndsAtItsDeadline) {
    receive("GET / HTTP/1.1\r\n", /*end=*/false);
    EXPECT_EQ(reader_.read_request(*transport_, Deadline::after(20ms)).error().code(), Errc::timeout);
}

}  // namespace
}  // namespace kz::migrate
