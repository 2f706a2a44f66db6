// SealedLink: one proven connection to port 8102 that carries QEMU's main channel in both directions, and a
// few words of the two monitors before that. For post-copy migrations, in which QEMU answers.
//
// Theory of operation. After hello and answer (migrate/gateway.h) the destination sends 16 random bytes. Both
// sides then make a key for each direction: HKDF(secret, hello's nonce and those bytes, "kzones live
// migration, both ways CIPHER channel 0 forward|backward"). Either side has put in something fresh, so that a
// recorded hello that is sent again to a destination leads to keys that have never been used. Everything
// after that is records (stream/record.h): the words, each one record, and then what QEMU says.
//
// A connection that broke is replaced by one of the *recovery session*, which both sides derive from the
// migration's:
//
//   id      the first 16 bytes of HKDF(secret, id, "kzones post-copy recovery id")
//   secret  32 bytes of HKDF(secret, id, "kzones post-copy recovery secret")
//
// The source says "resume" or "lost REASON"; the destination answers "ready" to the first when its QEMU
// waits, and what QEMU says follows in both directions. Whoever proves the session and cannot say a word that
// opens has replaced nothing.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "crypto/cipher.h"
#include "migrate/offer.h"
#include "stream/two_way.h"

namespace kz::migrate {

inline constexpr std::string_view kWordResume = "resume";
inline constexpr std::string_view kWordReady = "ready";
inline constexpr std::string_view kWordLost = "lost ";  // the reason follows

// The session under which a connection of `session` that broke is replaced; on the same port.
Result<Session> recovery_session(const Session& session);

class SealedLink {
  public:
    enum class Side { source = 1, destination };
    // Errors: those of reading and writing; nothing is proven by this alone.
    static Result<std::unique_ptr<SealedLink>> open(ChannelConnection connection, const Session& session,
                                                    crypto::Cipher cipher, Side side, Deadline deadline,
                                                    int cancel_fd = -1);

    // One word, at most 1000 bytes. hear() fails with Errc::corrupt for one that does not open.
    Result<void> say(std::string_view word, Deadline deadline, int cancel_fd = -1);
    Result<std::string> hear(Deadline deadline, int cancel_fd = -1);

    // Both directions between QEMU's `local_fd` and the connection, as stream::pump_both_ways.
    Result<void> carry(int local_fd, const stream::PumpRules& rules, stream::TwoWayCounters counters);

  private:
    SealedLink(UniqueFd fd, stream::RecordSealer sealer, stream::RecordOpener opener)
        : fd_(std::move(fd)), sealer_(std::move(sealer)), opener_(std::move(opener)) {}
    UniqueFd fd_;
    stream::RecordSealer sealer_;
    stream::RecordOpener opener_;
};

}  // namespace kz::migrate
