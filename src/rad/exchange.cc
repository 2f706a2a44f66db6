#include "rad/exchange.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace kz::rad {
namespace {

constexpr unsigned kOk = 200;
constexpr unsigned kNoContent = 204;
constexpr unsigned kMethodNotAllowed = 405;
constexpr unsigned kRequestTimeout = 408;
constexpr unsigned kPayloadTooLarge = 413;
constexpr unsigned kTooManyRequests = 429;
// How much of what a refused client still sends is read, so that it gets to read our answer.
constexpr std::size_t kDrain = 2 * 1024 * 1024;
constexpr std::chrono::milliseconds kDrainTime{1000};
// Of a path in the audit log.
constexpr std::size_t kMaxPath = 256;

constexpr std::string_view kStreamHeader =
    "HTTP/1.1 200 OK\r\n"
    "Server: kzones\r\n"
    "Content-Type: text/event-stream\r\n"
    "Cache-Control: no-store\r\n"
    "Connection: close\r\n"
    "\r\n";

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

Error stranger_refusal(const PeerIdentity& peer) {
    constexpr std::string_view kHow = "log in with a user's password (POST /api/1/login)";
    if (peer.fingerprint.empty())
        return Error::make(Errc::permission,
                           "this host does not know who you are: show an authorised key, or {}", kHow);
    return Error::make(Errc::permission,
                       "this host does not authorise the key {0}\n"
                       "To authorise it, run there: kz-radd --authorize {0} NAME\n"
                       "Or {1}",
                       peer.fingerprint, kHow);
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

std::string zone_of(const Router::Match& match) {
    const auto found = match.parameters.find("zone");
    return found == match.parameters.end() ? "" : found->second;
}

}  // namespace

void Exchange::serve(migrate::Transport& transport, PeerIdentity peer) {
    ConnectionContext context;
    migrate::HttpReader reader(limits_.message);
    grace_ = Deadline::after(limits_.login);
    refused_ = 0;
    while (serve_one(transport, reader, peer, context)) {
    }
}

bool Exchange::serve_one(migrate::Transport& transport, migrate::HttpReader& reader, PeerIdentity& peer,
                         ConnectionContext& context) {
    const bool known = admit_(peer, context) == Admission::admitted;
    const Deadline patience = context.held() ? Deadline::never() : Deadline::after(limits_.idle);
    const auto more = reader.wait(transport, known ? patience : grace_);
    if (!more || !*more) return false;
    // Again: the key may have been revoked, or authorised, since the last request.
    const Admission admission = admit_(peer, context);
    reader.set_limits(admission == Admission::admitted ? limits_.message : limits_.stranger_message);
    auto request = reader.read_request(transport, Deadline::after(limits_.request));
    Reply reply;
    if (!request) {
        auto response = unreadable(request.error());
        if (!response) return false;
        reply = {.response = *std::move(response), .last = true};
    } else {
        Turn turn(transport, peer, context, *request, admission);
        reply = answer(turn);
    }
    if (!reply.sent && !send(transport, reply)) return false;
    if (reply.last) end_gently(transport);
    return !reply.last;
}

bool Exchange::send(migrate::Transport& transport, const Reply& reply) const {
    migrate::HttpResponse response = reply.response;
    response.keep_alive = !reply.last;
    const std::string text = migrate::render_response(response);
    return transport.write_all(as_bytes(text), Deadline::after(limits_.response), -1).has_value();
}

Exchange::Reply Exchange::answer(Turn& turn) {
    Result<void> judged = judge(turn);
    const Result<Json> result = judged ? handle(turn) : std::unexpected(std::move(judged).error());
    // The body may have held a password.
    ::explicit_bzero(turn.request.body.data(), turn.request.body.size());
    Reply reply{.last = !turn.request.keep_alive || turn.sent || turn.admission == Admission::too_many,
                .sent = turn.sent};
    if (turn.admission == Admission::stranger && !result && ++refused_ >= limits_.stranger_requests)
        reply.last = true;
    if (!result)
        reply.response = error_response(turn.status != 0 ? turn.status : http_status(result.error().code()),
                                        result.error());
    else if (result->is_null())
        reply.response.status = kNoContent;
    else
        reply.response = {.status = kOk, .body = render_json(*result)};
    note(turn, result, turn.sent ? kOk : reply.response.status);
    return reply;
}

// Who may not ask this does not learn whether it exists.
Result<void> Exchange::judge(Turn& turn) const {
    const std::string& target = turn.request.target;
    turn.path = target.substr(0, target.find('?'));
    auto match = desk_.router.match(turn.request.method, turn.path);
    const bool open = match && match->route->access.need == Need::anyone;
    if (turn.admission == Admission::too_many)
        return fail(Errc::unavailable, "this host has too many connections of remote administration");
    if (turn.admission == Admission::stranger && !open) return std::unexpected(stranger_refusal(turn.peer));
    if (!open && !desk_.guard.in_time(turn.peer)) {
        turn.status = kTooManyRequests;
        return fail(Errc::busy, "too many requests; try again in a second");
    }
    if (!match && match.error().code() == Errc::unsupported) turn.status = kMethodNotAllowed;
    if (!match) return std::unexpected(std::move(match).error());
    turn.match = *std::move(match);
    const Access& access = turn.match.route->access;
    if (open || desk_.guard.allows(turn.peer, access, zone_of(turn.match))) return {};
    return fail(Errc::permission, "the role '{}' of {} does not allow this; it takes '{}'",
                role_name(turn.peer.role), turn.peer.name, need_name(access.need));
}

Result<Json> Exchange::handle(Turn& turn) const {
    const std::string& target = turn.request.target;
    const auto query_at = std::min(turn.path.size() + 1, target.size());
    KZ_TRY(auto query, parse_query(std::string_view(target).substr(query_at)));
    Json body;
    if (!turn.request.body.empty()) {
        auto parsed = parse_json(turn.request.body);
        if (!parsed) return fail(Errc::protocol, "{}", parsed.error().message());
        body = *std::move(parsed);
    }
    Request call{.method = turn.request.method,
                 .path = turn.path,
                 .parameters = turn.match.parameters,
                 .query = std::move(query),
                 .body = std::move(body),
                 .peer = turn.peer,
                 .connection = turn.context,
                 .cancel_fd = turn.transport.fd()};
    Result<Json> result;
    try {
        result = turn.match.route->streamer ? stream(turn, call) : turn.match.route->handler(call);
    } catch (const std::exception& error) {
        // A fault of ours in one request must not end the other connections.
        result = fail(Errc::internal, "internal error: {}", error.what());
    }
    turn.status = call.failure_status;
    turn.audit = std::move(call.audit);
    return result;
}

Result<Json> Exchange::stream(Turn& turn, Request& call) const {
    const Send send = [&](std::string_view piece) -> Result<void> {
        const Deadline deadline = Deadline::after(limits_.response);
        if (!std::exchange(turn.sent, true))
            KZ_CHECK(turn.transport.write_all(as_bytes(kStreamHeader), deadline, -1));
        return turn.transport.write_all(as_bytes(piece), deadline, -1);
    };
    KZ_CHECK(turn.match.route->streamer(call, send));
    return Json();
}

// What only looks is not worth a line; what acts or is refused is, with who and from where.
void Exchange::note(const Turn& turn, const Result<Json>& result, unsigned status) const {
    const bool login = turn.match.route != nullptr && turn.match.route->access.need == Need::anyone;
    const bool stranger = turn.admission != Admission::admitted && !(login && result);
    const bool refused = !result && result.error().code() == Errc::permission;
    if (turn.request.method == "GET" && !stranger && !refused) return;
    Json entry = turn.audit;
    entry["who"] = turn.peer.name;
    entry["from"] = turn.peer.address;
    if (!turn.peer.fingerprint.empty()) entry["key"] = turn.peer.fingerprint;
    if (turn.admission == Admission::admitted) entry["role"] = role_name(turn.peer.role);
    entry["what"] = fmt::format("{} {}", turn.request.method, turn.path.substr(0, kMaxPath));
    if (const std::string zone = zone_of(turn.match); !zone.empty()) entry["zone"] = zone.substr(0, kMaxPath);
    entry["outcome"] = result ? "ok" : errc_name(result.error().code());
    if (!result) entry["message"] = result.error().message();
    if (stranger || (login && !result)) return desk_.audit.stranger(std::move(entry));
    desk_.log.info("{} ({}): {} {}{}{}", turn.peer.name, turn.peer.address, entry["what"].get<std::string>(),
                   status, result ? "" : " ", result ? "" : result.error().message());
    desk_.audit.action(std::move(entry));
}

}  // namespace kz::rad
