// Aead: authenticated encryption under one key. For src/stream; other floors use sealed records.
//
// One object belongs to one key and one thread. Sealing the same nonce twice under one key gives both
// messages away: the caller counts (stream/record.h). After create() no call allocates memory.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "crypto/cipher.h"

namespace kz::crypto {

inline constexpr std::size_t kNonceSize = 12;
inline constexpr std::size_t kTagSize = 16;

using Nonce = std::array<Byte, kNonceSize>;

// One message of at most kMaxAeadMessage bytes (with a 12-byte nonce CCM has 3 bytes for the length).
struct AeadJob {
    Nonce nonce{};
    ByteView aad{};       // authenticated only
    MutableBytes data{};  // encrypted or decrypted in place
    MutableBytes tag{};   // kTagSize bytes
};
inline constexpr std::size_t kMaxAeadMessage = (1U << 24) - 1;

// Which library does the work; all put the same bytes on the wire. `automatic` is the fastest that this
// processor and this build have; the others are for tests and benches.
enum class AeadBackend { automatic = 1, openssl, ipsec_mb };

class Aead {
  public:
    // `key` must have cipher_key_size() bytes and the cipher must not be `none`: else Errc::invalid_argument.
    // A back-end that is asked for and does not have the cipher here is Errc::unsupported.
    static Result<std::unique_ptr<Aead>> create(Cipher cipher, ByteView key,
                                                AeadBackend backend = AeadBackend::automatic);
    // What `automatic` means here for this cipher: openssl or ipsec_mb.
    static AeadBackend fastest_backend(Cipher cipher);
    virtual ~Aead() = default;
    Aead(const Aead&) = delete;
    Aead& operator=(const Aead&) = delete;

    // Encrypts job.data and writes job.tag.
    virtual Result<void> seal(const AeadJob& job) = 0;

    // Checks job.tag and decrypts job.data. A wrong tag is Errc::corrupt, and job.data then holds zeros:
    // nothing unauthenticated is ever left for a careless caller to use.
    virtual Result<void> open(const AeadJob& job) = 0;

    // Independent messages in one call; a back-end with several lanes works on them at the same time. Stops
    // with the first error; after a failed open_batch the data of all jobs is zeros.
    virtual Result<void> seal_batch(std::span<const AeadJob> jobs);
    virtual Result<void> open_batch(std::span<const AeadJob> jobs);

  protected:
    Aead() = default;
};

}  // namespace kz::crypto
