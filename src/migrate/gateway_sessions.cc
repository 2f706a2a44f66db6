#include "migrate/gateway_sessions.h"

#include <sys/socket.h>

#include <cerrno>

namespace kz::migrate {

PendingConnection::Progress PendingConnection::read() {
    while (have < hello.size()) {
        const ssize_t got = ::recv(fd.get(), hello.data() + have, hello.size() - have, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Progress::waiting;
        if (got <= 0) return Progress::ended;
        have += static_cast<std::size_t>(got);
    }
    return Progress::complete;
}

Result<void> SessionTable::check_room(const SessionId& id) const {
    if (sessions_.contains(id)) return fail(Errc::already_exists, "the session is registered already");
    if (sessions_.size() >= limit_)
        return fail(Errc::busy, "more than {} migrations arrive at this host", limit_);
    return {};
}

void SessionTable::add(Registration registration, UniqueFd monitor) {
    sessions_.emplace(registration.id,
                      RegisteredSession{std::move(monitor), std::move(registration.proof_key),
                                        std::vector<bool>(registration.connections)});
}

HelloVerdict SessionTable::judge(const HelloBytes& bytes, const RegisteredSession** session,
                                 stream::Hello* hello) {
    const auto decoded = stream::decode_hello(bytes);
    if (!decoded) return HelloVerdict::malformed;
    const auto found = sessions_.find(decoded->session);
    if (found == sessions_.end()) return HelloVerdict::unknown_session;
    // The proof comes first: only who holds the key may learn which channels are taken.
    if (!stream::verify_hello(*decoded, found->second.proof_key.view())) return HelloVerdict::wrong_proof;
    auto& taken = found->second.taken;
    if (decoded->channel >= taken.size() || taken[decoded->channel]) return HelloVerdict::repeated_channel;
    taken[decoded->channel] = true;
    *session = &found->second;
    *hello = *decoded;
    return HelloVerdict::good;
}

}  // namespace kz::migrate
