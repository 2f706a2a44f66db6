#include "crypto/openssl.h"

#include <openssl/err.h>

namespace kz::crypto {

std::unexpected<Error> openssl_failure(std::string_view what, Errc code) {
    const unsigned long first = ERR_get_error();
    ERR_clear_error();
    const char* reason = first == 0 ? nullptr : ERR_reason_error_string(first);
    return fail(code, "{}: {}", what, reason == nullptr ? "the cryptographic library failed" : reason);
}

}  // namespace kz::crypto
