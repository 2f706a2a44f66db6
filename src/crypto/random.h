// Random bytes fit for keys, nonces and identifiers. For every floor from crypto upwards.
#pragma once

#include "base/bytes.h"
#include "base/secret.h"

namespace kz::crypto {

// Overwrites all of `out`. Fails with Errc::internal only when the operating system gives no entropy; `out`
// is then not to be used.
Result<void> fill_random(MutableBytes out);

// `size` random bytes that are wiped when dropped.
Result<Secret> random_secret(std::size_t size);

// `size` random bytes that need no secrecy: salts, nonces, session and image ids.
Result<Bytes> random_bytes(std::size_t size);

}  // namespace kz::crypto
