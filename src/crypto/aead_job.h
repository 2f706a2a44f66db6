// What every AEAD back-end does with a job. Private to src/crypto.
#pragma once

#include "crypto/aead.h"

namespace kz::crypto {

// Errc::invalid_argument for sizes that no back-end takes.
Result<void> check_job(const AeadJob& job);

// The error of a message that does not open.
std::unexpected<Error> not_authentic();

}  // namespace kz::crypto
