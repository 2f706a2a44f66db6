// Router: which handler answers which request, and who may make it. For src/rad and those that add routes to
// it.
//
//   router.add("GET", "/api/1/zones/{zone}", {Need::view, kAnyAuth}, [](Request& request) -> Result<Json> {
//       return describe(request.parameters.at("zone"));
//   });
//
// Handlers of different connections run at the same time, those of one connection one after the other.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "rad/access.h"
#include "rad/connection.h"

namespace kz::rad {

// Who asks.
struct PeerIdentity {
    bool local = false;       // root on this host, over the unix socket or ssh
    std::string fingerprint;  // of the client's host key; empty when it showed none
    std::string name;         // as in authorized_keys, or the user, else its address; "root" when local
    std::string address;      // numeric; "local" for the unix socket
    std::string user{};       // who logged in with a password
    Role role = Role::delegate;
};

struct Request {
    std::string method;
    std::string path;                               // without the query
    std::map<std::string, std::string> parameters;  // of the path's pattern, percent-decoded, never empty
    std::map<std::string, std::string> query;       // percent-decoded; the last of equal names counts
    Json body;                                      // null when the request had none
    const PeerIdentity& peer;
    ConnectionContext& connection;
    // Readable when the client has gone or the server stops: pass it to everything that waits.
    int cancel_fd = -1;
    // Set by the handler: the status of a failure, when that of its code is not meant; and what the audit log
    // shall say besides who, from where, what and the outcome. Never secrets.
    unsigned failure_status = 0;
    Json audit = Json::object();
};

// The answer is sent as JSON with status 200 (204 when null); an error with the status of http_status().
using Handler = std::function<Result<Json>(Request&)>;

// Sends a piece of an answer that has no end of its own (text/event-stream); the connection ends after it.
using Send = std::function<Result<void>(std::string_view piece)>;
// Returns when the client has gone or there is nothing more to say. An error before the first piece is
// answered like any other.
using Streamer = std::function<Result<void>(Request&, const Send& send)>;

class Router {
  public:
    struct Route {
        std::string method;
        std::string pattern;
        Access access;
        Handler handler;    // either this
        Streamer streamer;  // or this
        std::vector<std::string> segments;
    };

    // A pattern is literal segments and "{name}", which stands for one segment. The first route that fits
    // counts; add all before the server starts.
    void add(std::string method, std::string_view pattern, Access access, Handler handler);
    void add_stream(std::string_view pattern, Access access, Streamer streamer);

    struct Match {
        const Route* route = nullptr;
        std::map<std::string, std::string> parameters;
    };
    // `path` is not yet percent-decoded. Errors: Errc::not_found (no such path), Errc::unsupported (not by
    // this method), Errc::invalid_argument (bad percent-encoding).
    Result<Match> match(std::string_view method, std::string_view path) const;

    const std::vector<Route>& routes() const { return routes_; }

  private:
    std::vector<Route> routes_;
};

// "%41" is "A"; a broken escape or a NUL is Errc::invalid_argument.
Result<std::string> percent_decode(std::string_view text);
// "a=1&b=2".
Result<std::map<std::string, std::string>> parse_query(std::string_view query);

// The status line's number for an error, and {"error": {"code": "not_found", "message": "..."}}.
unsigned http_status(Errc code);
Json error_body(const Error& error);

}  // namespace kz::rad
