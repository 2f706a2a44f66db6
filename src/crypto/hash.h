// SHA-256 and HMAC-SHA256. For every floor from crypto upwards.
#pragma once

#include <array>
#include <memory>

#include "base/bytes.h"

struct evp_md_ctx_st;

namespace kz::crypto {

inline constexpr std::size_t kSha256Size = 32;
using Sha256Digest = std::array<Byte, kSha256Size>;

// Throws std::bad_alloc when memory is out: the only way in which SHA-256 fails.
Sha256Digest sha256(ByteView data);

// Any key length; errors are Errc::internal. Compare results with equal_in_constant_time.
Result<Sha256Digest> hmac_sha256(ByteView key, ByteView data);

// SHA-256 of data that arrives in parts. One thread at a time.
class Sha256 {
  public:
    Sha256();
    Sha256(Sha256&&) noexcept = default;
    Sha256& operator=(Sha256&&) noexcept = default;
    ~Sha256() = default;

    void update(ByteView data);
    // The digest of everything since construction or the last finish(); the object then starts afresh.
    Sha256Digest finish();

  private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const;
    };
    void start();
    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace kz::crypto
