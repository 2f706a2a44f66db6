// HKDF-SHA256 (RFC 5869): every key of kzones is made from a longer-lived secret by this one function. For
// every floor from crypto upwards.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/secret.h"

namespace kz::crypto {

// Extract-then-expand. `info` says what the key is for ("kzones host-data mac"): two uses of one secret must
// never share it. `length` is 1 to 8160 bytes, else Errc::invalid_argument; so is an empty `secret`.
Result<Secret> hkdf_sha256(ByteView secret, ByteView salt, std::string_view info, std::size_t length);

}  // namespace kz::crypto
