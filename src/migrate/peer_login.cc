#include "migrate/peer_login.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "migrate/peer_http.h"
#include "os/io.h"

namespace kz::migrate {
namespace {

// The text of a JSON string, appended to a buffer that was made large enough and never grows.
void append_json_text(Bytes& out, std::string_view text) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const auto put = [&](std::string_view piece) {
        for (const char c : piece)
            out.push_back(static_cast<Byte>(c));
    };
    put("\"");
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const std::array<char, 2> digits{kDigits[byte >> 4U], kDigits[byte & 0xfU]};
        if (c == '"' || c == '\\') put("\\");
        if (byte < 0x20)
            put("\\u00"), put({digits.data(), digits.size()});
        else
            put({&c, 1});
    }
    put("\"");
}

Secret render_body(std::string_view user, const Secret& password) {
    constexpr std::size_t kLongestEscape = 6;
    Bytes body;
    body.reserve(64 + kLongestEscape * (user.size() + password.size()));
    const auto put = [&](std::string_view piece) {
        for (const char c : piece)
            body.push_back(static_cast<Byte>(c));
    };
    put(R"({"user":)");
    append_json_text(body, user);
    put(R"(,"password":)");
    append_json_text(body, as_text(password.view()));
    put("}");
    return Secret(std::move(body));
}

}  // namespace

Secret render_login(std::string_view user, const Secret& password, std::string_view host) {
    const Secret body = render_body(user, password);
    // The password takes the place of blanks, so that what renders a request never sees it.
    const std::string blank = render_request(
        {.method = "POST", .target = "/api/1/login", .body = WipedText(body.size(), ' ')}, host);
    Secret request{as_bytes(blank)};
    std::ranges::copy(body.view(), request.mutable_view().last(body.size()).begin());
    return request;
}

Result<UniqueFd> password_to_pipe(const Secret& password) {
    if (password.size() > kMaxPassword) return fail(Errc::invalid_argument, "the password is too long");
    std::array<int, 2> fds{};
    if (::pipe2(fds.data(), O_CLOEXEC) < 0) return fail_errno(errno, "pipe");
    UniqueFd read_end(fds[0]);
    const UniqueFd write_end(fds[1]);
    KZ_CHECK(write_all(write_end.get(), password.view(), Deadline::after(std::chrono::seconds(1))));
    return read_end;
}

Result<Secret> password_from_pipe(int fd, Deadline deadline) {
    Secret buffer = Secret::of_size(kMaxPassword + 1);
    std::size_t size = 0;
    while (size < buffer.size()) {
        KZ_TRY(const std::size_t got, read_some(fd, buffer.mutable_view().subspan(size), deadline));
        if (got == 0) return Secret(buffer.view().first(size));
        size += got;
    }
    return fail(Errc::protocol, "more than a password was handed over");
}

}  // namespace kz::migrate
