// What TlsContext holds. Private to src/crypto (tls_context.cc makes it, tls.cc uses it).
#pragma once

#include <string>

#include "crypto/openssl.h"
#include "crypto/tls.h"

namespace kz::crypto {

using SslContextPtr = std::unique_ptr<SSL_CTX, OpensslDelete<&SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, OpensslDelete<&SSL_free>>;

struct TlsContext::Impl {
    SslContextPtr context;
};

// What the verification callback finds at SSL_get_app_data() during a handshake.
struct PeerVerdict {
    PeerCheck check;
    std::string fingerprint;
    bool refused = false;
};

}  // namespace kz::crypto
