// Compares intel-ipsec-mb with OpenSSL, cipher by cipher, before it is trusted with anything: its objects are
// copied in a way of our own (library.h), and a later version might not stand that. Private to src/crypto.
#pragma once

#include "crypto/ipsec_mb/library.h"

namespace kz::crypto {

bool ipsec_mb_works(const IpsecMb& library);

}  // namespace kz::crypto
