// Owners of OpenSSL objects and its error queue as an Error. Private to src/crypto: no header outside this
// floor includes it, so that nothing above knows which library is below.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string_view>

#include "base/result.h"

namespace kz::crypto {

template <auto Free>
struct OpensslDelete {
    template <typename T>
    void operator()(T* object) const {
        Free(object);
    }
};

using EvpPkeyPtr = std::unique_ptr<EVP_PKEY, OpensslDelete<&EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, OpensslDelete<&X509_free>>;
using BioPtr = std::unique_ptr<BIO, OpensslDelete<&BIO_free_all>>;

// The error for a failed OpenSSL call: "what: the library's first reason". Empties this thread's queue, so a
// later call does not report what failed here.
std::unexpected<Error> openssl_failure(std::string_view what, Errc code = Errc::internal);

}  // namespace kz::crypto
