#include "stream/hello.h"

#include <algorithm>

#include "base/secret.h"
#include "crypto/hkdf.h"
#include "crypto/random.h"

namespace kz::stream {
namespace {

constexpr std::string_view kMagic = "KZMIGR01";
constexpr std::size_t kProofAt = 48;

Result<crypto::Sha256Digest> proof_of(const Hello& hello, ByteView secret) {
    KZ_TRY(const Secret key,
           crypto::hkdf_sha256(secret, hello.session, "kzones hello proof", crypto::kSha256Size));
    const auto bytes = encode_hello(hello);
    return crypto::hmac_sha256(key.view(), ByteView(bytes).first(kProofAt));
}

}  // namespace

Result<Hello> make_hello(const SessionId& session, std::uint32_t channel, ByteView secret) {
    Hello hello{.session = session, .channel = channel};
    KZ_CHECK(crypto::fill_random(hello.nonce));
    KZ_TRY(hello.proof, proof_of(hello, secret));
    return hello;
}

std::array<Byte, kHelloSize> encode_hello(const Hello& hello) {
    std::array<Byte, kHelloSize> out{};
    std::ranges::copy(kMagic, out.begin());
    std::ranges::copy(hello.session, out.begin() + 8);
    store_le<std::uint32_t>(out.data() + 24, hello.channel);
    store_le<std::uint32_t>(out.data() + 28, kStreamProtocolVersion);
    std::ranges::copy(hello.nonce, out.begin() + 32);
    std::ranges::copy(hello.proof, out.begin() + kProofAt);
    return out;
}

Result<Hello> decode_hello(std::span<const Byte, kHelloSize> bytes) {
    if (as_text(bytes.first(kMagic.size())) != kMagic)
        return fail(Errc::protocol, "the connection does not start with a hello");
    const auto version = load_le<std::uint32_t>(bytes.data() + 28);
    if (version != kStreamProtocolVersion)
        return fail(Errc::unsupported, "stream protocol version {}", version);
    Hello hello;
    std::ranges::copy(bytes.subspan(8, hello.session.size()), hello.session.begin());
    hello.channel = load_le<std::uint32_t>(bytes.data() + 24);
    std::ranges::copy(bytes.subspan(32, hello.nonce.size()), hello.nonce.begin());
    std::ranges::copy(bytes.subspan(kProofAt), hello.proof.begin());
    return hello;
}

Result<void> verify_hello(const Hello& hello, ByteView secret) {
    KZ_TRY(const crypto::Sha256Digest expected, proof_of(hello, secret));
    if (!equal_in_constant_time(expected, hello.proof))
        return fail(Errc::permission, "the connection does not know the session's secret");
    return {};
}

}  // namespace kz::stream
