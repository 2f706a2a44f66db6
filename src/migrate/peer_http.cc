#include "migrate/peer_http.h"

#include <algorithm>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>

#include "base/secret.h"

namespace kz::migrate {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using WipedBody = http::basic_string_body<char, std::char_traits<char>, WipingAllocator<char>>;
using RequestParser = http::request_parser<WipedBody>;
using ResponseParser = http::response_parser<http::string_body>;

constexpr unsigned kHttp11 = 11;
constexpr std::string_view kProduct = "kzones";
constexpr std::size_t kReadSize = 16 * 1024;
// Room in the buffer beyond a header, which the parser takes only when it is whole.
constexpr std::size_t kBufferSlack = 16 * 1024;

beast::string_view boost_view(std::string_view text) {
    return {text.data(), text.size()};
}

template <bool IsRequest, typename BodyType>
std::string serialize(http::message<IsRequest, BodyType>& message) {
    http::serializer<IsRequest, BodyType> serializer(message);
    std::string out;
    beast::error_code failure;
    const auto append = [&](beast::error_code& status, const auto& buffers) {
        status = {};
        std::size_t size = 0;
        for (const auto buffer : beast::buffers_range_ref(buffers)) {
            out.append(static_cast<const char*>(buffer.data()), buffer.size());
            size += buffer.size();
        }
        serializer.consume(size);
    };
    while (!failure && !serializer.is_done())
        serializer.next(failure, append);
    return out;
}

std::unexpected<Error> parse_failure(const beast::error_code& status) {
    if (status == http::error::body_limit || status == http::error::header_limit ||
        status == http::error::buffer_overflow)
        return fail(Errc::no_space, "the HTTP message is too large");
    if (status == http::error::partial_message || status == http::error::end_of_stream)
        return fail(Errc::unavailable, "the other end closed the connection within a message");
    return fail(Errc::protocol, "HTTP: {}", status.message());
}

// Takes from the front what was parsed, and leaves nothing of it behind.
void take(WipedText& buffer, std::size_t size) {
    const std::size_t left = buffer.size() - size;
    std::ranges::copy(std::string_view(buffer).substr(size), buffer.begin());
    ::explicit_bzero(buffer.data() + left, size);
    buffer.resize(left);
}

// Reads from the transport into `parser` until the message is whole; `buffer` has what came already and keeps
// what comes after it.
template <typename Parser>
Result<void> read_message(Parser& parser, WipedText& buffer, const HttpLimits& limits, Transport& transport,
                          Deadline deadline, int cancel_fd) {
    // The header alone at first: it says whether the body is one that is taken.
    parser.eager(false);
    parser.header_limit(limits.header);
    parser.body_limit(limits.body);
    Secret chunk = Secret::of_size(kReadSize);
    while (true) {
        beast::error_code status;
        const std::size_t used = parser.put(boost::asio::const_buffer(buffer.data(), buffer.size()), status);
        take(buffer, used);
        if (parser.is_done()) return {};
        if (status && status != http::error::need_more) return parse_failure(status);
        if (parser.is_header_done() && !parser.eager()) {
            if (parser.chunked()) return fail(Errc::protocol, "HTTP: chunked bodies are not taken");
            parser.eager(true);
            if (!buffer.empty()) continue;
        }
        if (buffer.size() > limits.header + kBufferSlack) return parse_failure(http::error::buffer_overflow);
        KZ_TRY(const std::size_t got, transport.read_some(chunk.mutable_view(), deadline, cancel_fd));
        buffer += as_text(chunk.view().first(got));
        if (got != 0) continue;
        // put_eof() may only be told of the end of a message that has begun.
        if (!parser.got_some()) return parse_failure(http::error::end_of_stream);
        status = {};
        parser.put_eof(status);
        if (status) return parse_failure(status);
        return {};
    }
}

}  // namespace

std::string render_request(const HttpRequest& request, std::string_view host) {
    http::request<WipedBody> message;
    message.version(kHttp11);
    message.method_string(boost_view(request.method));
    message.target(boost_view(request.target));
    message.set(http::field::host, boost_view(host));
    message.set(http::field::user_agent, boost_view(kProduct));
    message.set(http::field::accept, "application/json");
    if (!request.body.empty()) message.set(http::field::content_type, "application/json");
    message.keep_alive(request.keep_alive);
    message.body() = request.body;
    message.content_length(request.body.size());
    return serialize(message);
}

std::string render_response(const HttpResponse& response) {
    http::response<http::string_body> message;
    message.version(kHttp11);
    message.result(response.status);
    message.set(http::field::server, boost_view(kProduct));
    message.set(http::field::cache_control, "no-store");
    if (!response.body.empty()) message.set(http::field::content_type, "application/json");
    message.keep_alive(response.keep_alive);
    message.body() = response.body;
    // A 204 must not have the field at all.
    if (message.result() != http::status::no_content) message.content_length(response.body.size());
    return serialize(message);
}

Result<bool> HttpReader::wait(Transport& transport, Deadline deadline, int cancel_fd) {
    if (!buffer_.empty()) return true;
    Secret chunk = Secret::of_size(kReadSize);
    KZ_TRY(const std::size_t got, transport.read_some(chunk.mutable_view(), deadline, cancel_fd));
    buffer_ = as_text(chunk.view().first(got));
    return got != 0;
}

Result<HttpRequest> HttpReader::read_request(Transport& transport, Deadline deadline, int cancel_fd) {
    RequestParser parser;
    KZ_CHECK(read_message(parser, buffer_, limits_, transport, deadline, cancel_fd));
    auto& message = parser.get();
    return HttpRequest{.method = std::string(message.method_string()),
                       .target = std::string(message.target()),
                       .body = std::move(message.body()),
                       .keep_alive = message.keep_alive()};
}

Result<HttpResponse> HttpReader::read_response(Transport& transport, Deadline deadline, int cancel_fd) {
    ResponseParser parser;
    KZ_CHECK(read_message(parser, buffer_, limits_, transport, deadline, cancel_fd));
    auto& message = parser.get();
    return HttpResponse{.status = message.result_int(),
                        .body = std::move(message.body()),
                        .keep_alive = message.keep_alive()};
}

}  // namespace kz::migrate
