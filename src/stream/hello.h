// Hello: the first message of a connection to port 8102: which session and channel it belongs to, and the
// proof that the sender knows the session's secret. For src/migrate and kz-migrd.
//
// Theory of operation
//
// Source and destination agree over RAD on a session id and a 32-byte secret. Each memory connection starts
// with one hello from the source, 80 bytes, before any record; what answers it is the acceptor's affair
// (migrate/gateway.h). The acceptor reads exactly 80 bytes, looks the session up and verifies the proof
// before it spends anything on the connection. A hello that is recorded and replayed passes the proof: the
// acceptor must take each channel of a session once only. The one who replays can not go on, since the
// channel's keys come from the secret too. They are derived with the hello's nonce as salt, so that no two
// connections ever share keys, even when a channel is opened again.
//
// Layout, little-endian:
//
//    0  8   magic "KZMIGR01"
//    8  16  session id
//   24  u32 channel id
//   28  u32 protocol version: 1
//   32  16  nonce, random
//   48  32  proof: HMAC-SHA256 of bytes 0 to 47 under HKDF-SHA256(secret, session id, "kzones hello proof")
#pragma once

#include <array>

#include "base/bytes.h"
#include "crypto/hash.h"

namespace kz::stream {

inline constexpr std::size_t kHelloSize = 80;
inline constexpr std::uint32_t kStreamProtocolVersion = 1;

using SessionId = std::array<Byte, 16>;

struct Hello {
    SessionId session{};
    std::uint32_t channel = 0;
    std::array<Byte, 16> nonce{};
    crypto::Sha256Digest proof{};
};

// With a fresh nonce and the proof for `secret`.
Result<Hello> make_hello(const SessionId& session, std::uint32_t channel, ByteView secret);

std::array<Byte, kHelloSize> encode_hello(const Hello& hello);
// Proves nothing yet. Errors: Errc::protocol (not a hello), Errc::unsupported (another version).
Result<Hello> decode_hello(std::span<const Byte, kHelloSize> bytes);
// Errc::permission when the proof was not made with `secret`.
Result<void> verify_hello(const Hello& hello, ByteView secret);

}  // namespace kz::stream
