#include "rad/exchange.h"

#include <array>
#include <optional>

namespace kz::rad {
namespace {

constexpr unsigned kOk = 200;
constexpr unsigned kNoContent = 204;
constexpr unsigned kMethodNotAllowed = 405;
constexpr unsigned kRequestTimeout = 408;
constexpr unsigned kPayloadTooLarge = 413;
// How much of what a refused client still sends is read, so that it gets to read our answer.
constexpr std::size_t kDrain = 2 * 1024 * 1024;
constexpr std::chrono::milliseconds kDrainTime{1000};

migrate::HttpResponse error_response(unsigned status, const Error& error) {
    return {.status = status, .body = render_json(error_body(error))};
}

// The answer to a request that could not be read; nothing when there is nobody to answer.
std::optional<migrate::HttpResponse> unreadable(const Error& error) {
    switch (error.code()) {
        case Errc::timeout:
            return error_response(kRequestTimeout, error);
        case Errc::no_space:
            return error_response(kPayloadTooLarge, error);
        case Errc::protocol:
            return error_response(http_status(error.code()), error);
        default:
            return std::nullopt;
    }
}

Error refusal(Admission admission, const PeerIdentity& peer) {
    if (admission == Admission::too_many)
        return Error(Errc::unavailable, "this host has too many connections of remote administration");
    return Error::make(Errc::permission,
                       "this host does not authorise the key {0}\n"
                       "To authorise it, run there: kz-radd --authorize {0} NAME",
                       peer.fingerprint);
}

// A close(2) with unread bytes would reset the connection and could destroy the answer on its way.
void end_gently(migrate::Transport& transport) {
    const auto deadline = Deadline::after(kDrainTime);
    transport.finish(deadline);
    std::array<Byte, 16 * 1024> chunk;
    for (std::size_t total = 0; total < kDrain;) {
        const auto got = transport.read_some(chunk, deadline, -1);
        if (!got || *got == 0) return;
        total += *got;
    }
}

}  // namespace

void Exchange::serve(migrate::Transport& transport, PeerIdentity peer) {
    ConnectionContext context;
    migrate::HttpReader reader(limits_.message);
    while (serve_one(transport, reader, peer, context)) {
    }
}

bool Exchange::serve_one(migrate::Transport& transport, migrate::HttpReader& reader, PeerIdentity& peer,
                         ConnectionContext& context) {
    Admission admission = admit_(peer);
    const bool stranger = admission != Admission::admitted;
    const auto more = reader.wait(transport, Deadline::after(stranger ? limits_.handshake : limits_.idle));
    if (!more || !*more) return false;
    // Again: the key may have been revoked since the last request.
    if (!stranger) admission = admit_(peer);
    reader.set_limits(admission == Admission::admitted ? limits_.message : limits_.stranger_message);
    const auto request = reader.read_request(transport, Deadline::after(limits_.request));
    Reply reply;
    if (!request) {
        auto response = unreadable(request.error());
        if (!response) return false;
        reply = {*std::move(response), true};
    } else if (admission != Admission::admitted) {
        const Error error = refusal(admission, peer);
        reply = {error_response(http_status(error.code()), error), true};
    } else {
        reply = answer(*request, peer, context, transport.fd());
    }
    if (!send(transport, reply)) return false;
    if (reply.last) end_gently(transport);
    return !reply.last;
}

bool Exchange::send(migrate::Transport& transport, const Reply& reply) const {
    migrate::HttpResponse response = reply.response;
    response.keep_alive = !reply.last;
    const std::string text = migrate::render_response(response);
    return transport.write_all(as_bytes(text), Deadline::after(limits_.response), -1).has_value();
}

Exchange::Reply Exchange::answer(const migrate::HttpRequest& request, const PeerIdentity& peer,
                                 ConnectionContext& context, int cancel_fd) const {
    unsigned status = 0;
    const auto result = handle(request, peer, context, cancel_fd, status);
    Reply reply{.last = !request.keep_alive};
    if (!result)
        reply.response =
            error_response(status != 0 ? status : http_status(result.error().code()), result.error());
    else if (result->is_null())
        reply.response.status = kNoContent;
    else
        reply.response = {.status = kOk, .body = render_json(*result)};
    // What only looks is not worth a line; what acts is, with who and from where.
    if (request.method != "GET" || !result)
        log_.info("{} ({}): {} {}: {}{}{}", peer.name, peer.address, request.method, request.target,
                  reply.response.status, result ? "" : " ", result ? "" : result.error().message());
    return reply;
}

Result<Json> Exchange::handle(const migrate::HttpRequest& request, const PeerIdentity& peer,
                              ConnectionContext& context, int cancel_fd, unsigned& status) const {
    const auto question = std::min(request.target.find('?'), request.target.size());
    const std::string path = request.target.substr(0, question);
    auto match = router_.match(request.method, path);
    if (!match && match.error().code() == Errc::unsupported) status = kMethodNotAllowed;
    if (!match) return std::unexpected(std::move(match).error());
    const auto query_at = std::min(question + 1, request.target.size());
    KZ_TRY(auto query, parse_query(std::string_view(request.target).substr(query_at)));
    Json body;
    if (!request.body.empty()) {
        auto parsed = parse_json(request.body);
        if (!parsed) return fail(Errc::protocol, "{}", parsed.error().message());
        body = *std::move(parsed);
    }
    Request call{.method = request.method,
                 .path = path,
                 .parameters = std::move(match->parameters),
                 .query = std::move(query),
                 .body = std::move(body),
                 .peer = peer,
                 .connection = context,
                 .cancel_fd = cancel_fd};
    try {
        return (*match->handler)(call);
    } catch (const std::exception& error) {
        // A fault of ours in one request must not end the other connections.
        return fail(Errc::internal, "internal error: {}", error.what());
    }
}

}  // namespace kz::rad
