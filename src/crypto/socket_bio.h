// A BIO over a stream socket that never raises SIGPIPE: OpenSSL's own one calls write(2). Private to
// src/crypto.
#pragma once

#include "crypto/openssl.h"

namespace kz::crypto {

// The descriptor stays the caller's and must be non-blocking. Errors: Errc::internal.
Result<BioPtr> make_socket_bio(int fd);

}  // namespace kz::crypto
