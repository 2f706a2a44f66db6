// AES-128-CCM by intel-ipsec-mb. Private to src/crypto.
#pragma once

#include "crypto/aead.h"
#include "crypto/ipsec_mb/library.h"

namespace kz::crypto {

// `key` has 16 bytes.
Result<std::unique_ptr<Aead>> make_ipsec_mb_ccm(const IpsecMb& library, ByteView key);

}  // namespace kz::crypto
