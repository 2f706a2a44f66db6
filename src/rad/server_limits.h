// How much of everything the server of remote administration grants. For src/rad.
#pragma once

#include <chrono>
#include <cstddef>

#include "migrate/peer_http.h"

namespace kz::rad {

struct ServerLimits {
    std::size_t connections = 64;  // of clients that are known
    std::size_t strangers = 32;    // in the handshake, or not yet known
    std::chrono::milliseconds handshake{10000};
    // From the end of the handshake until a client is known: somebody types a password.
    std::chrono::milliseconds login{120000};
    unsigned stranger_requests = 4;             // on one connection
    std::chrono::milliseconds request{10000};   // from a request's first byte to its last
    std::chrono::milliseconds response{10000};  // also for each piece of a stream of events
    std::chrono::milliseconds idle{300000};     // between requests
    migrate::HttpLimits message{};
    migrate::HttpLimits stranger_message{.header = 16 * 1024, .body = 64 * 1024};
};

}  // namespace kz::rad
