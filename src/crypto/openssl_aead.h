// The portable AEAD back-end: every cipher, any architecture. Private to src/crypto; made through
// Aead::create.
#pragma once

#include "crypto/aead.h"

namespace kz::crypto {

// `key` has the cipher's size and the cipher is not `none` (Aead::create checked).
Result<std::unique_ptr<Aead>> make_openssl_aead(Cipher cipher, ByteView key);

}  // namespace kz::crypto
