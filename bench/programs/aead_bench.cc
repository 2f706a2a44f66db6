// Sealing and opening by one thread: aead_bench CIPHER LIBRARY MESSAGE-BYTES SECONDS
// LIBRARY: openssl (its EVP, used directly), gnutls, kz-openssl, kz-ipsec_mb. Prints bytes by CPU second.
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <openssl/evp.h>

#include <functional>
#include <memory>

#include "crypto/aead.h"
#include "figures.h"

using namespace kz;

namespace {

// As many messages as a record of 256 KiB has lanes of 16 KiB: all libraries walk over the same memory.
constexpr std::size_t kMessages = 16;

struct Work {
    std::size_t size;
    Bytes data = bench::random_data(kMessages * size);
    Bytes tags = Bytes(kMessages * crypto::kTagSize);
    Bytes aad = Bytes(16, 1);

    crypto::AeadJob job(std::size_t i) {
        return {.nonce = {static_cast<Byte>(i)},
                .aad = aad,
                .data = MutableBytes(data).subspan(i * size, size),
                .tag = MutableBytes(tags).subspan(i * crypto::kTagSize, crypto::kTagSize)};
    }
};

// One pass over all messages; true when all went well.
struct Passes {
    std::function<bool()> seal;
    std::function<bool()> open;
};

Passes by_kz(Work& work, crypto::Cipher cipher, crypto::AeadBackend backend) {
    auto made = crypto::Aead::create(cipher, Bytes(crypto::cipher_key_size(cipher), 7), backend);
    if (!made) bench::give_up(made.error().message());
    std::shared_ptr<crypto::Aead> aead = std::move(*made);
    auto jobs = std::make_shared<std::vector<crypto::AeadJob>>();
    for (std::size_t i = 0; i < kMessages; ++i)
        jobs->push_back(work.job(i));
    return {[=] { return aead->seal_batch(*jobs).has_value(); },
            [=] { return aead->open_batch(*jobs).has_value(); }};
}

const EVP_CIPHER* evp_of(crypto::Cipher cipher) {
    switch (cipher) {
        case crypto::Cipher::aes_128_ccm:
            return EVP_aes_128_ccm();
        case crypto::Cipher::aes_128_gcm:
            return EVP_aes_128_gcm();
        case crypto::Cipher::aes_256_gcm:
            return EVP_aes_256_gcm();
        case crypto::Cipher::chacha20_poly1305:
            return EVP_chacha20_poly1305();
        case crypto::Cipher::none:
            break;
    }
    return nullptr;
}

// In place, with a context and a key that are kept.
Passes by_evp(Work& work, crypto::Cipher cipher) {
    const bool ccm = cipher == crypto::Cipher::aes_128_ccm;
    const Bytes key(crypto::cipher_key_size(cipher), 7);
    const auto context = [&](int direction) {
        std::shared_ptr<EVP_CIPHER_CTX> made(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
        EVP_CipherInit_ex(made.get(), evp_of(cipher), nullptr, nullptr, nullptr, direction);
        EVP_CIPHER_CTX_ctrl(made.get(), EVP_CTRL_AEAD_SET_IVLEN, 12, nullptr);
        if (ccm) EVP_CIPHER_CTX_ctrl(made.get(), EVP_CTRL_AEAD_SET_TAG, 16, nullptr);
        EVP_CipherInit_ex(made.get(), nullptr, nullptr, key.data(), nullptr, direction);
        return made;
    };
    const auto run = [&work, ccm](EVP_CIPHER_CTX* at, int direction) {
        for (std::size_t i = 0; i < kMessages; ++i) {
            const crypto::AeadJob job = work.job(i);
            const int size = static_cast<int>(job.data.size());
            int done = 0;
            bool good = EVP_CipherInit_ex(at, nullptr, nullptr, nullptr, job.nonce.data(), direction) == 1;
            if (direction == 0)
                good = good && EVP_CIPHER_CTX_ctrl(at, EVP_CTRL_AEAD_SET_TAG, 16, job.tag.data()) == 1;
            if (ccm) good = good && EVP_CipherUpdate(at, nullptr, &done, nullptr, size) == 1;
            good = good && EVP_CipherUpdate(at, nullptr, &done, job.aad.data(), 16) == 1 &&
                   EVP_CipherUpdate(at, job.data.data(), &done, job.data.data(), size) == 1;
            if (!ccm) good = good && EVP_CipherFinal_ex(at, job.data.data() + done, &done) == 1;
            if (direction == 1)
                good = good && EVP_CIPHER_CTX_ctrl(at, EVP_CTRL_AEAD_GET_TAG, 16, job.tag.data()) == 1;
            if (!good) return false;
        }
        return true;
    };
    return {[run, at = context(1)] { return run(at.get(), 1); },
            [run, at = context(0)] { return run(at.get(), 0); }};
}

gnutls_cipher_algorithm_t gnutls_of(crypto::Cipher cipher) {
    switch (cipher) {
        case crypto::Cipher::aes_128_ccm:
            return GNUTLS_CIPHER_AES_128_CCM;
        case crypto::Cipher::aes_128_gcm:
            return GNUTLS_CIPHER_AES_128_GCM;
        case crypto::Cipher::aes_256_gcm:
            return GNUTLS_CIPHER_AES_256_GCM;
        case crypto::Cipher::chacha20_poly1305:
            return GNUTLS_CIPHER_CHACHA20_POLY1305;
        case crypto::Cipher::none:
            break;
    }
    return GNUTLS_CIPHER_UNKNOWN;
}

Passes by_gnutls(Work& work, crypto::Cipher cipher) {
    Bytes key(crypto::cipher_key_size(cipher), 7);
    const gnutls_datum_t datum{key.data(), static_cast<unsigned>(key.size())};
    gnutls_aead_cipher_hd_t raw = nullptr;
    if (gnutls_aead_cipher_init(&raw, gnutls_of(cipher), &datum) < 0) bench::give_up("gnutls");
    const std::shared_ptr<std::remove_pointer_t<gnutls_aead_cipher_hd_t>> handle(raw,
                                                                                 gnutls_aead_cipher_deinit);
    const auto run = [&work, handle](auto function) {
        for (std::size_t i = 0; i < kMessages; ++i) {
            const crypto::AeadJob job = work.job(i);
            const giovec_t aad{work.aad.data(), work.aad.size()};
            const giovec_t data{job.data.data(), job.data.size()};
            std::size_t tag_size = crypto::kTagSize;
            if (function(handle.get(), job, aad, data, &tag_size) < 0) return false;
        }
        return true;
    };
    return {[run] {
                return run([](auto at, const auto& job, auto& aad, auto& data, auto* tag_size) {
                    return gnutls_aead_cipher_encryptv2(at, job.nonce.data(), 12, &aad, 1, &data, 1,
                                                        job.tag.data(), tag_size);
                });
            },
            [run] {
                return run([](auto at, const auto& job, auto& aad, auto& data, auto* tag_size) {
                    return gnutls_aead_cipher_decryptv2(at, job.nonce.data(), 12, &aad, 1, &data, 1,
                                                        job.tag.data(), *tag_size);
                });
            }};
}

Passes passes_of(Work& work, crypto::Cipher cipher, std::string_view library) {
    if (library == "openssl") return by_evp(work, cipher);
    if (library == "gnutls") return by_gnutls(work, cipher);
    if (library == "kz-openssl") return by_kz(work, cipher, crypto::AeadBackend::openssl);
    if (library == "kz-ipsec_mb") return by_kz(work, cipher, crypto::AeadBackend::ipsec_mb);
    bench::give_up("there is no such library");
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 5) bench::give_up("usage: aead_bench CIPHER LIBRARY MESSAGE-BYTES SECONDS");
    const auto cipher = crypto::parse_cipher(arguments[1]);
    if (!cipher || *cipher == crypto::Cipher::none) bench::give_up("there is no such cipher");
    Work work{.size = std::strtoul(arguments[3], nullptr, 10)};
    const Passes passes = passes_of(work, *cipher, arguments[2]);
    const double limit = std::strtod(arguments[4], nullptr);
    double sealing = 0, opening = 0;
    std::size_t bytes = 0;
    while (sealing + opening < limit) {
        const double start = bench::clock_seconds(CLOCK_THREAD_CPUTIME_ID);
        if (!passes.seal()) bench::give_up("sealing failed");
        const double middle = bench::clock_seconds(CLOCK_THREAD_CPUTIME_ID);
        if (!passes.open()) bench::give_up("opening failed");
        sealing += middle - start;
        opening += bench::clock_seconds(CLOCK_THREAD_CPUTIME_ID) - middle;
        bytes += work.data.size();
    }
    fmt::print("{{\"seal_bytes_per_cpu_second\": {:.0f}, \"open_bytes_per_cpu_second\": {:.0f}}}\n",
               static_cast<double>(bytes) / sealing, static_cast<double>(bytes) / opening);
}
