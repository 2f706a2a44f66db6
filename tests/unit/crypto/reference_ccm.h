// CCM as RFC 3610 writes it, on raw AES blocks: what the back-ends are compared with, because published
// vectors with a 12-byte nonce and a 16-byte tag are few.
#pragma once

#include "base/bytes.h"

namespace kz::crypto {

// The encrypted message followed by its tag. The nonce has 15 - L bytes.
Bytes reference_ccm_seal(ByteView key, ByteView nonce, ByteView aad, ByteView message, std::size_t tag_size);

}  // namespace kz::crypto
