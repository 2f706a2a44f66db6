// Link checks: whether port 8102 of the destination can be reached, and how fast the way there is. For
// src/monitor (source) and src/client (destination).
//
// Theory of operation. The destination registers a session of one connection with its kz-migrd, just as for a
// migration, and hands it to the source, which connects and proves it: that a connection stands says that the
// port, whatever is in between, kz-migrd and the key exchange work. Then the source sends sealed records of
// random bytes, as incompressible as memory may be, for at most kMeasureTime and kMeasureBytes, and the final
// record. The destination opens them, drops what is in them, and answers the final record with one byte
// (kGotAll). Keys as for a migration, for the purpose "link measurement"; nothing of the zone is sent. The
// clock stops at that byte, so that what stands in buffers is not taken for sent.
//
// It is one connection's speed: more connections may carry more where a processor, not the link, is the
// limit.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>

#include "crypto/cipher.h"
#include "migrate/offer.h"
#include "migrate/session.h"
#include "os/io.h"

namespace kz::migrate {

inline constexpr std::uint64_t kMeasureBytes = 64 << 20;
inline constexpr std::chrono::milliseconds kMeasureTime{1000};

// Destination: takes one connection and what comes over it, in a thread of its own, until it is destroyed.
class LinkSink {
  public:
    // Errors: those of SessionRegistration::open.
    static Result<std::unique_ptr<LinkSink>> open(const HostPaths& paths, crypto::Cipher cipher);
    ~LinkSink();
    LinkSink(const LinkSink&) = delete;
    LinkSink& operator=(const LinkSink&) = delete;

    const Session& session() const { return session_; }

  private:
    LinkSink(Session session, SessionRegistration registration, EventFd stop, crypto::Cipher cipher);
    Result<void> take();

    Session session_;
    SessionRegistration registration_;
    EventFd stop_;
    crypto::Cipher cipher_;
    std::jthread thread_;
};

struct LinkSpeed {
    std::uint64_t bytes = 0;  // of memory, not as sealed
    std::chrono::microseconds took{0};
    std::uint64_t bytes_per_second() const;
};

// Source: on a connection of that session. `most` 0 sends nothing but the end. Errors: Errc::timeout,
// Errc::cancelled, Errc::unavailable, Errc::protocol when the other end answers something else.
Result<LinkSpeed> measure_link(const ChannelConnection& connection, const Session& session,
                               crypto::Cipher cipher, std::uint64_t most, int cancel_fd = -1);

}  // namespace kz::migrate
