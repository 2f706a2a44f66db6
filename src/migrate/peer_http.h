// HTTP/1.1 messages over a byte stream with deadlines, for both ends of remote administration: Peer
// (migrate/peer.h) and the server of src/rad. Not for anyone else.
//
// Boost.Beast parses and serialises; this floor reads and writes, so that every byte waits under a deadline
// and can be cancelled. Bodies are whole strings of at most HttpLimits::body bytes with a Content-Length.
// Chunked ones are refused: nobody needs them here, and the parser for them (Boost 1.74) fails assertions on
// input that is cut at the wrong place. No pipelining: a client sends its next request after it has the
// answer to the last.
//
// A request may carry a password: what is read is wiped when it is done with. Answers carry none.
#pragma once

#include <string>
#include <string_view>

#include "base/wiped_text.h"
#include "migrate/peer_transport.h"

namespace kz::migrate {

struct HttpLimits {
    std::uint32_t header = 16 * 1024;
    std::uint64_t body = 1024 * 1024;
};

struct HttpRequest {
    std::string method;
    std::string target;
    WipedText body;
    bool keep_alive = true;
};

struct HttpResponse {
    unsigned status = 0;
    std::string body{};  // JSON, or empty
    bool keep_alive = true;
};

std::string render_request(const HttpRequest& request, std::string_view host);
std::string render_response(const HttpResponse& response);

// Reads one message after the other from one transport; bytes read beyond a message are kept for the next.
class HttpReader {
  public:
    explicit HttpReader(HttpLimits limits) : limits_(limits) {}

    // Waits until a byte of the next message is there; false at the orderly end of the stream.
    Result<bool> wait(Transport& transport, Deadline deadline, int cancel_fd = -1);
    // Errors: Errc::no_space when a limit is exceeded, Errc::protocol for what is not HTTP/1.1,
    // Errc::unavailable when the stream ends within the message.
    Result<HttpRequest> read_request(Transport& transport, Deadline deadline, int cancel_fd = -1);
    Result<HttpResponse> read_response(Transport& transport, Deadline deadline, int cancel_fd = -1);

    // Another limit for the following messages (clients that are not trusted get less).
    void set_limits(HttpLimits limits) { limits_ = limits; }

  private:
    HttpLimits limits_;
    WipedText buffer_;
};

}  // namespace kz::migrate
