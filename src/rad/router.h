// Router: which handler answers which request. For src/rad and those that add routes to it.
//
//   router.add("GET", "/api/1/zones/{zone}", [](Request& request) -> Result<Json> {
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
#include "rad/connection.h"

namespace kz::rad {

// Who asks.
struct PeerIdentity {
    bool local = false;       // root on this host, over the unix socket
    std::string fingerprint;  // of the client's host key; empty when local
    std::string name;         // as in authorized_keys, else its address; "root" when local
    std::string address;      // numeric; "local" when local
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
};

// The answer is sent as JSON with status 200 (204 when null); an error with the status of http_status().
using Handler = std::function<Result<Json>(Request&)>;

class Router {
  public:
    // A pattern is literal segments and "{name}", which stands for one segment. The first route that fits
    // counts; add all before the server starts.
    void add(std::string method, std::string_view pattern, Handler handler);

    struct Match {
        const Handler* handler = nullptr;
        std::map<std::string, std::string> parameters;
    };
    // `path` is not yet percent-decoded. Errors: Errc::not_found (no such path), Errc::unsupported (not by
    // this method), Errc::invalid_argument (bad percent-encoding).
    Result<Match> match(std::string_view method, std::string_view path) const;

  private:
    struct Route {
        std::string method;
        std::vector<std::string> segments;
        Handler handler;
    };
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
