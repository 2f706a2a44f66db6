// A client that shows what it likes: a host key or none, from an address of its choice; and what the server
// wrote into its audit log.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <vector>

#include "base/json.h"
#include "base/text.h"
#include "crypto/tls.h"
#include "migrate/peer_http.h"
#include "os/file.h"
#include "os/io.h"

namespace kz::rad {

inline Deadline soon() {
    return Deadline::after(std::chrono::seconds(20));
}

struct Answer {
    unsigned status = 0;  // 0: the connection was closed
    Json body;
    std::string text() const { return body.is_object() ? body["error"]["message"].get<std::string>() : ""; }
    std::string code() const { return body.is_object() ? body["error"]["code"].get<std::string>() : ""; }
};

// A TCP connection to 127.0.0.1 from another address of the loopback network.
inline UniqueFd connect_from(const char* source, std::uint16_t port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, source, &address.sin_addr);
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return UniqueFd();
    ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    address.sin_port = htons(port);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return UniqueFd();
    return fd;
}

class HttpClient {
  public:
    explicit HttpClient(std::unique_ptr<migrate::Transport> transport) : transport_(std::move(transport)) {}
    // Without a key when `key` is null.
    static HttpClient over_tls(std::uint16_t port, const crypto::HostKey* key = nullptr,
                               const char* source = "127.0.0.1") {
        const auto context =
            key != nullptr ? crypto::TlsContext::client(*key) : crypto::TlsContext::anonymous_client();
        auto stream = crypto::TlsStream::connect(
            connect_from(source, port), context.value(), [](const std::string&) { return true; }, soon());
        return HttpClient(stream ? migrate::make_transport(*std::move(stream)) : nullptr);
    }

    Answer ask(std::string_view method, std::string_view target, const Json& body = {}) {
        if (!transport_) return {};
        const migrate::HttpRequest request{
            .method = std::string(method),
            .target = std::string(target),
            .body = body.is_null() ? WipedText() : WipedText(render_json(body))};
        const std::string text = migrate::render_request(request, "test");
        if (!transport_->write_all(as_bytes(text), soon(), -1)) return {};
        const auto response = reader_.read_response(*transport_, soon());
        if (!response) return {};
        Json parsed = response->body.empty() ? Json() : parse_json(response->body).value_or(Json("not JSON"));
        return {response->status, std::move(parsed)};
    }
    Answer login(std::string_view user, std::string_view password) {
        return ask("POST", "/api/1/login", {{"user", user}, {"password", password}});
    }

    // For answers without an end: sends the request, and then what comes until it holds `wanted`.
    void send(std::string_view text) { EXPECT_TRUE(transport_->write_all(as_bytes(text), soon(), -1)); }
    std::string read_until(std::string_view wanted) {
        std::array<Byte, 4096> chunk;
        while (stream_.find(wanted) == std::string::npos) {
            const auto got = transport_->read_some(chunk, soon(), -1);
            if (!got || *got == 0) break;
            stream_ += as_text(ByteView(chunk).first(*got));
        }
        return stream_;
    }

  private:
    std::unique_ptr<migrate::Transport> transport_;
    migrate::HttpReader reader_{migrate::HttpLimits{}};
    std::string stream_;
};

inline std::vector<Json> read_audit(const HostPaths& paths) {
    std::vector<Json> lines;
    for (const std::string& line :
         split(read_file(paths.log_dir() / "audit.jsonl", 1 << 24).value_or(""), '\n'))
        if (!line.empty()) lines.push_back(parse_json(line).value());
    return lines;
}

}  // namespace kz::rad
