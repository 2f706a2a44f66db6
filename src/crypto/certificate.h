// Keys and certificates as OpenSSL objects. Private to src/crypto (host_key.cc and tls_context.cc).
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "crypto/openssl.h"

namespace kz::crypto {

inline constexpr std::size_t kMaxPem = 64 * 1024;

// "SHA256:..." over the certificate's SubjectPublicKeyInfo.
Result<std::string> fingerprint_of(X509* certificate);

// One object from its PEM text; encrypted keys are refused. Errors: Errc::corrupt.
Result<EvpPkeyPtr> parse_private_key(ByteView pem);
Result<X509Ptr> parse_certificate(std::string_view pem);

}  // namespace kz::crypto
