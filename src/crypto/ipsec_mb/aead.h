// The fast AEAD back-end: AES-GCM by intel-ipsec-mb's direct functions, AES-CCM by its multi-buffer job
// manager, which works on all messages of a batch at once. Private to src/crypto; made through Aead::create.
#pragma once

#include "crypto/aead.h"
#include "crypto/ipsec_mb/library.h"

namespace kz::crypto {

// Whether this back-end has the cipher.
bool ipsec_mb_has(Cipher cipher);

// `key` has the cipher's size, and ipsec_mb_has(cipher).
Result<std::unique_ptr<Aead>> make_ipsec_mb_aead(const IpsecMb& library, Cipher cipher, ByteView key);

}  // namespace kz::crypto
