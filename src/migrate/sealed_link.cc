#include "migrate/sealed_link.h"

#include <algorithm>
#include <array>

#include "crypto/hkdf.h"
#include "crypto/random.h"
#include "os/io.h"
#include "stream/keys.h"

namespace kz::migrate {
namespace {

constexpr std::string_view kPurpose = "live migration, both ways";
constexpr std::size_t kFreshBytes = 16;
constexpr std::size_t kLongestWord = 1000;
// Whoever takes nothing for this long is lost: TCP alone would notice no sooner.
constexpr std::chrono::seconds kStall{15};

// The hello's nonce, then the destination's fresh bytes.
Result<Bytes> agree_on_salt(const ChannelConnection& connection, SealedLink::Side side, Deadline deadline,
                            int cancel_fd) {
    Bytes fresh(kFreshBytes);
    if (side == SealedLink::Side::destination) {
        KZ_CHECK(crypto::fill_random(fresh));
        KZ_CHECK(write_all(connection.fd.get(), fresh, deadline, cancel_fd));
    } else {
        KZ_CHECK(read_exact(connection.fd.get(), fresh, deadline, cancel_fd));
    }
    Bytes salt(connection.nonce.begin(), connection.nonce.end());
    salt.insert(salt.end(), fresh.begin(), fresh.end());
    return salt;
}

}  // namespace

Result<Session> recovery_session(const Session& session) {
    Session recovery;
    KZ_TRY(const Secret id, crypto::hkdf_sha256(session.secret.view(), session.id,
                                                "kzones post-copy recovery id", recovery.id.size()));
    std::ranges::copy(id.view(), recovery.id.begin());
    KZ_TRY(recovery.secret, crypto::hkdf_sha256(session.secret.view(), session.id,
                                                "kzones post-copy recovery secret", kProofKeySize));
    recovery.port = session.port;
    return recovery;
}

Result<std::unique_ptr<SealedLink>> SealedLink::open(ChannelConnection connection, const Session& session,
                                                     crypto::Cipher cipher, Side side, Deadline deadline,
                                                     int cancel_fd) {
    using stream::Direction;
    const bool sends = side == Side::source;
    KZ_TRY(const Bytes salt, agree_on_salt(connection, side, deadline, cancel_fd));
    const auto keys = [&](Direction direction) {
        return stream::derive_channel_keys(session.secret.view(), salt, kPurpose, cipher, connection.channel,
                                           direction);
    };
    KZ_TRY(const stream::ChannelKeys forward, keys(Direction::forward));
    KZ_TRY(const stream::ChannelKeys backward, keys(Direction::backward));
    // What the destination says is a few bytes at a time, and somebody waits for each.
    KZ_TRY(stream::RecordSealer sealer,
           stream::RecordSealer::create(cipher, sends ? forward : backward,
                                        sends ? stream::Compression::adaptive : stream::Compression::off));
    KZ_TRY(stream::RecordOpener opener, stream::RecordOpener::create(cipher, sends ? backward : forward));
    return std::unique_ptr<SealedLink>(
        new SealedLink(std::move(connection.fd), std::move(sealer), std::move(opener)));
}

Result<void> SealedLink::say(std::string_view word, Deadline deadline, int cancel_fd) {
    const std::size_t size = std::min(word.size(), kLongestWord);
    std::ranges::copy(as_bytes(word.substr(0, size)), sealer_.space().begin());
    KZ_TRY(const ByteView record, sealer_.seal(size));
    return write_all(fd_.get(), record, deadline, cancel_fd);
}

Result<std::string> SealedLink::hear(Deadline deadline, int cancel_fd) {
    while (true) {
        KZ_TRY(const auto plain, opener_.next());
        if (plain && plain->bytes.size() > kLongestWord)
            return fail(Errc::protocol, "the other host says {} bytes where a word is due",
                        plain->bytes.size());
        if (plain) return std::string(as_text(plain->bytes));
        if (opener_.ended()) return fail(Errc::protocol, "the other host ended the channel without a word");
        KZ_TRY(const std::size_t got, read_some(fd_.get(), opener_.space(), deadline, cancel_fd));
        if (got == 0) return fail(Errc::unavailable, "the other end closed the connection");
        opener_.commit(got);
    }
}

Result<void> SealedLink::carry(int local_fd, const stream::PumpRules& rules,
                               stream::TwoWayCounters counters) {
    stream::PumpRules patient = rules;
    patient.output_stall = kStall;
    return stream::pump_both_ways(local_fd, fd_.get(), sealer_, opener_, patient, counters);
}

}  // namespace kz::migrate
