// Arbitrary bytes as the HTTP messages of a client and of a server, in pieces of a size that the first byte
// chooses. What is read keeps its limits; targets and bodies go the way of real ones: routes, queries, JSON.
#include <algorithm>
#include <cstdlib>

#include "base/json.h"
#include "migrate/peer_http.h"
#include "rad/router.h"

using namespace kz;

namespace {

constexpr migrate::HttpLimits kLimits{.header = 512, .body = 2048};

class MemoryTransport final : public migrate::Transport {
  public:
    MemoryTransport(ByteView bytes, std::size_t piece) : bytes_(bytes), piece_(piece) {}
    Result<std::size_t> read_some(MutableBytes out, Deadline, int) override {
        const std::size_t size = std::min({out.size(), bytes_.size(), piece_});
        std::ranges::copy(bytes_.first(size), out.begin());
        bytes_ = bytes_.subspan(size);
        return size;
    }
    Result<void> write_all(ByteView, Deadline, int) override { return {}; }
    int fd() const override { return -1; }
    void finish(Deadline) override {}

  private:
    ByteView bytes_;
    std::size_t piece_;
};

void route(const migrate::HttpRequest& request) {
    rad::Router router;
    router.add("GET", "/api/1/zones/{zone}", {}, {});
    const auto question = std::min(request.target.find('?'), request.target.size());
    const auto match = router.match(request.method, std::string_view(request.target).substr(0, question));
    if (match && match->parameters.at("zone").empty()) std::abort();
    (void)rad::parse_query(std::string_view(request.target).substr(question));
    if (const auto body = parse_json(request.body)) (void)render_json(*body);
}

void read_requests(ByteView bytes, std::size_t piece) {
    MemoryTransport transport(bytes, piece);
    migrate::HttpReader reader(kLimits);
    while (reader.wait(transport, Deadline::never()).value_or(false)) {
        const auto request = reader.read_request(transport, Deadline::never());
        if (!request) return;
        if (request->body.size() > kLimits.body || request->target.size() > kLimits.header) std::abort();
        route(*request);
    }
}

void read_response(ByteView bytes, std::size_t piece) {
    MemoryTransport transport(bytes, piece);
    migrate::HttpReader reader(kLimits);
    const auto response = reader.read_response(transport, Deadline::never());
    if (response && response->body.size() > kLimits.body) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t piece = std::size_t{data[0]} + 1;
    const ByteView bytes(data + 1, size - 1);
    read_requests(bytes, piece);
    read_response(bytes, piece);
    return 0;
}
