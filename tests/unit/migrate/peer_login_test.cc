#include "migrate/peer_login.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "os/io.h"

namespace kz::migrate {
namespace {

using namespace std::chrono_literals;

Secret secret(std::string_view text) {
    return Secret(as_bytes(text));
}

TEST(RenderLogin, IsAWholeRequestWhateverThePassword) {
    for (const std::string_view word :
         {"simple", "with \"quotes\" and \\", "tab\tand\x01 control", "grün", ""}) {
        const Secret request = render_login("root", secret(word), "node2");
        const std::string text(as_text(request.view()));
        EXPECT_TRUE(text.starts_with("POST /api/1/login HTTP/1.1\r\n")) << text;
        const auto end = text.find("\r\n\r\n");
        ASSERT_NE(end, std::string::npos);
        const std::string body = text.substr(end + 4);
        EXPECT_NE(text.find("Content-Length: " + std::to_string(body.size()) + "\r\n"), std::string::npos);
        const Json json = parse_json(body).value();
        EXPECT_EQ(json["user"], "root");
        EXPECT_EQ(json["password"], word);
    }
}

TEST(PasswordPipe, GoesThroughOnceAndWhole) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{9}, kMaxPassword}) {
        const Secret password = secret(std::string(size, 'x'));
        const UniqueFd pipe = password_to_pipe(password).value();
        const Secret read = password_from_pipe(pipe.get(), Deadline::after(20s)).value();
        EXPECT_TRUE(equal_in_constant_time(read.view(), password.view()));
    }
}

TEST(PasswordPipe, TooMuchIsRefusedOnBothSides) {
    EXPECT_EQ(password_to_pipe(secret(std::string(kMaxPassword + 1, 'x'))).error().code(),
              Errc::invalid_argument);
    int fds[2];
    ASSERT_EQ(::pipe(fds), 0);
    const UniqueFd read_end(fds[0]);
    UniqueFd write_end(fds[1]);
    ASSERT_TRUE(write_all(fds[1], as_bytes(std::string(5000, 'x')), Deadline::after(20s)).has_value());
    EXPECT_EQ(password_from_pipe(read_end.get(), Deadline::after(20s)).error().code(), Errc::protocol);
}

TEST(PasswordPipe, AnotherEndThatSaysNothingIsNotWaitedForForEver) {
    int fds[2];
    ASSERT_EQ(::pipe(fds), 0);
    const UniqueFd read_end(fds[0]);
    const UniqueFd write_end(fds[1]);
    EXPECT_EQ(password_from_pipe(fds[0], Deadline::after(10ms)).error().code(), Errc::timeout);
}

}  // namespace
}  // namespace kz::migrate
