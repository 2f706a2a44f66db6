// Passwords as profiles hold them. For the command that asks for one.
#pragma once

#include <string>

#include "base/result.h"
#include "base/secret.h"

namespace kz::install {

// The hash of crypt(5), by SHA-512 with a salt of its own: the one method that every guest understands. Takes
// some tens of milliseconds. Errors: Errc::invalid_argument for an empty password, one with a line end or a
// NUL, and one longer than 511 bytes.
Result<std::string> hash_password(const Secret& password);

}  // namespace kz::install
