// HostKey: the identity of a host towards other hosts (TLS of remote administration). For src/rad and
// src/migrate.
//
// An Ed25519 key with a self-signed certificate. Nobody checks the certificate's chain or dates: peers pin
// the fingerprint of the public key, as ssh does, so the certificate only carries the key.
#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"

namespace kz::crypto {

struct HostKey {
    Secret key_pem;           // PKCS#8, to be stored with mode 0600
    std::string cert_pem;     // X.509
    std::string fingerprint;  // "SHA256:" + base64 without padding of SHA-256 over the SubjectPublicKeyInfo
};

// A fresh key, valid for 100 years. `common_name` is the host's name, 1 to 64 bytes (Errc::invalid_argument).
Result<HostKey> generate_host_key(std::string_view common_name);

// From the texts that were stored. Errc::corrupt when either cannot be read or they do not belong together.
Result<HostKey> load_host_key(ByteView key_pem, std::string_view cert_pem);

// Whether `text` has the form of a fingerprint: "SHA256:" and 43 base64 digits.
bool is_fingerprint(std::string_view text);

}  // namespace kz::crypto
