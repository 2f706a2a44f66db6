// What monitor, gateway and source say to each other, as bytes: the layouts at the top of migrate/gateway.h.
// For migrate/session.cc and migrate/gateway*.cc.
#pragma once

#include <array>
#include <string_view>

#include "base/secret.h"
#include "migrate/session.h"
#include "stream/hello.h"

namespace kz::migrate {

inline constexpr std::size_t kRegistrationSize = 60;
inline constexpr std::string_view kRegistered = "ok";

struct Registration {
    SessionId id{};
    Secret proof_key;
    unsigned connections = 0;
};

// Errors: Errc::invalid_argument for a key of another size or connections beyond 1 to kMaxChannels.
Result<Secret> encode_registration(const Registration& registration);
// Errors: Errc::protocol, Errc::unsupported (another version), Errc::invalid_argument as above.
Result<Registration> decode_registration(ByteView bytes);

using HelloBytes = std::array<Byte, stream::kHelloSize>;
using Answer = std::array<Byte, 1 + crypto::kSha256Size>;

// What the monitor says to the source that sent `hello`.
Result<Answer> make_answer(const HelloBytes& hello, const SessionId& id, ByteView proof_key);

}  // namespace kz::migrate
