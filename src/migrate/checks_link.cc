#include "migrate/checks_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

#include "crypto/random.h"
#include "stream/keys.h"
#include "stream/opener.h"
#include "stream/sealer.h"

namespace kz::migrate {
namespace {

using std::chrono::steady_clock;

constexpr std::string_view kPurpose = "link measurement";
constexpr Byte kGotAll = 1;
constexpr std::chrono::seconds kRegisterTime{5};
// From the session's making to its connection, and then to the end of the transfer: what was sent in the
// measured second must arrive over any link that a zone could be moved over.
constexpr std::chrono::seconds kConnectTime{60};
constexpr std::chrono::seconds kTransferTime{20};
// A source sends this much; more is not a measurement.
constexpr std::uint64_t kTakeAtMost = 2 * kMeasureBytes;
// How much may wait in the socket unsent: what counts is what the link carries, not what the kernel holds.
constexpr int kUnsent = 512 * 1024;

Result<stream::ChannelKeys> keys_of(const ChannelConnection& connection, const Session& session,
                                    crypto::Cipher cipher) {
    return stream::derive_channel_keys(session.secret.view(), connection.nonce, kPurpose, cipher,
                                       connection.channel, stream::Direction::forward);
}

// Everything up to the final record.
Result<void> drain(int fd, stream::RecordOpener& opener, int cancel_fd) {
    const Deadline deadline = Deadline::after(kTransferTime);
    std::uint64_t total = 0;
    while (true) {
        KZ_TRY(const auto plain, opener.next());
        if (plain) total += plain->bytes.size();
        if (total > kTakeAtMost) return fail(Errc::protocol, "the measurement does not end");
        if (plain) continue;
        if (opener.ended()) return {};
        KZ_TRY(const std::size_t got, read_some(fd, opener.space(), deadline, cancel_fd));
        if (got == 0) return opener.end_of_input();
        opener.commit(got);
    }
}

Result<std::uint64_t> send_noise(int fd, stream::RecordSealer& sealer, std::uint64_t most, Deadline deadline,
                                 int cancel_fd) {
    KZ_TRY(const Bytes noise, crypto::random_bytes(stream::kMaxPayload));
    const Deadline enough = Deadline::after(kMeasureTime);
    std::uint64_t sent = 0;
    while (sent < most && !enough.passed()) {
        const std::size_t size = std::min<std::uint64_t>(most - sent, noise.size());
        std::ranges::copy(ByteView(noise).first(size), sealer.space().begin());
        KZ_TRY(const ByteView record, sealer.seal(size));
        KZ_CHECK(wait_writable(fd, deadline, cancel_fd));
        KZ_CHECK(write_all(fd, record, deadline, cancel_fd));
        sent += size;
    }
    return sent;
}

}  // namespace

Result<std::unique_ptr<LinkSink>> LinkSink::open(const HostPaths& paths, crypto::Cipher cipher) {
    KZ_TRY(Session session, Session::generate());
    KZ_TRY(EventFd stop, EventFd::create());
    KZ_TRY(SessionRegistration registration,
           SessionRegistration::open(paths, session.id, session.secret, 1, Deadline::after(kRegisterTime)));
    return std::unique_ptr<LinkSink>(
        new LinkSink(std::move(session), std::move(registration), std::move(stop), cipher));
}

LinkSink::LinkSink(Session session, SessionRegistration registration, EventFd stop, crypto::Cipher cipher)
    : session_(std::move(session)),
      registration_(std::move(registration)),
      stop_(std::move(stop)),
      cipher_(cipher),
      // The source hears of a failure by the end of its connection.
      thread_([this] { [[maybe_unused]] const Result<void> taken = take(); }) {}

LinkSink::~LinkSink() {
    stop_.signal();
}

Result<void> LinkSink::take() {
    KZ_TRY(const ChannelConnection connection, registration_.next(Deadline::after(kConnectTime), stop_.fd()));
    KZ_TRY(const stream::ChannelKeys keys, keys_of(connection, session_, cipher_));
    KZ_TRY(stream::RecordOpener opener, stream::RecordOpener::create(cipher_, keys));
    KZ_CHECK(drain(connection.fd.get(), opener, stop_.fd()));
    return write_all(connection.fd.get(), ByteView(&kGotAll, 1), Deadline::after(kRegisterTime), stop_.fd());
}

std::uint64_t LinkSpeed::bytes_per_second() const {
    const double seconds =
        std::chrono::duration<double>(std::max(took, std::chrono::microseconds(1))).count();
    return static_cast<std::uint64_t>(static_cast<double>(bytes) / seconds);
}

Result<LinkSpeed> measure_link(const ChannelConnection& connection, const Session& session,
                               crypto::Cipher cipher, std::uint64_t most, int cancel_fd) {
    const int fd = connection.fd.get();
    // A tunnel is no TCP socket, and does without.
    ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsent, sizeof kUnsent);
    KZ_TRY(const stream::ChannelKeys keys, keys_of(connection, session, cipher));
    KZ_TRY(stream::RecordSealer sealer, stream::RecordSealer::create(cipher, keys, stream::Compression::off));
    const Deadline deadline = Deadline::after(kTransferTime);
    const auto begun = steady_clock::now();
    KZ_TRY(const std::uint64_t sent,
           send_noise(fd, sealer, std::min(most, kMeasureBytes), deadline, cancel_fd));
    KZ_TRY(const ByteView last, sealer.seal_final());
    KZ_CHECK(write_all(fd, last, deadline, cancel_fd));
    std::array<Byte, 1> answer{};
    KZ_CHECK(read_exact(fd, answer, deadline, cancel_fd));
    if (answer[0] != kGotAll) return fail(Errc::protocol, "the other host did not take what was sent");
    return LinkSpeed{sent,
                     std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - begun)};
}

}  // namespace kz::migrate
