#include "migrate/session_wire.h"

#include <algorithm>

#include "crypto/hkdf.h"

namespace kz::migrate {
namespace {

constexpr std::string_view kMagic = "KZRG";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kIdAt = 12;
constexpr std::size_t kKeyAt = 28;
constexpr Byte kAccepted = 'K';

Result<void> check(const Registration& registration) {
    if (registration.proof_key.size() != kProofKeySize)
        return fail(Errc::invalid_argument, "a proof key of {} bytes", registration.proof_key.size());
    if (registration.connections == 0 || registration.connections > kMaxChannels)
        return fail(Errc::invalid_argument, "{} connections, not 1 to {}", registration.connections,
                    kMaxChannels);
    return {};
}

}  // namespace

Result<Secret> encode_registration(const Registration& registration) {
    KZ_CHECK(check(registration));
    Secret bytes = Secret::of_size(kRegistrationSize);
    Byte* out = bytes.mutable_view().data();
    std::ranges::copy(kMagic, out);
    store_le<std::uint32_t>(out + 4, kVersion);
    store_le<std::uint32_t>(out + 8, registration.connections);
    std::ranges::copy(registration.id, out + kIdAt);
    std::ranges::copy(registration.proof_key.view(), out + kKeyAt);
    return bytes;
}

Result<Registration> decode_registration(ByteView bytes) {
    if (bytes.size() != kRegistrationSize || as_text(bytes.first(kMagic.size())) != kMagic)
        return fail(Errc::protocol, "not a registration of a session");
    if (const auto version = load_le<std::uint32_t>(bytes.data() + 4); version != kVersion)
        return fail(Errc::unsupported, "version {} of the gateway's protocol", version);
    Registration registration;
    registration.connections = load_le<std::uint32_t>(bytes.data() + 8);
    std::ranges::copy(bytes.subspan(kIdAt, registration.id.size()), registration.id.begin());
    registration.proof_key = Secret(bytes.subspan(kKeyAt, kProofKeySize));
    KZ_CHECK(check(registration));
    return registration;
}

Result<Answer> make_answer(const HelloBytes& hello, const SessionId& id, ByteView proof_key) {
    KZ_TRY(const Secret key, crypto::hkdf_sha256(proof_key, id, "kzones hello answer", crypto::kSha256Size));
    KZ_TRY(const crypto::Sha256Digest mac, crypto::hmac_sha256(key.view(), hello));
    Answer answer{kAccepted};
    std::ranges::copy(mac, answer.begin() + 1);
    return answer;
}

}  // namespace kz::migrate
