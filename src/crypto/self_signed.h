// Keys with certificates that nobody else has signed: those of hosts (host_key.h), and of servers in new
// zones. For src/crypto and src/install.
#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"

namespace kz::crypto {

enum class KeyKind { ed25519 = 1, rsa };  // RSA of 2048 bits is what every client takes

struct SelfSigned {
    Secret key_pem;        // PKCS#8, to be stored where only its server reads it
    std::string cert_pem;  // X.509, signed with SHA-256 where the key is RSA
};

struct SelfSignedRequest {
    KeyKind kind = KeyKind::ed25519;
    std::string_view common_name;  // 1 to 64 bytes
    std::string_view dns_name;     // of which it is a certificate; may be empty
    unsigned years = 10;           // that it is valid
};

// Errors: Errc::invalid_argument for names that cannot be had.
Result<SelfSigned> make_self_signed(const SelfSignedRequest& request);

}  // namespace kz::crypto
