#include "storage/lease_takeover.h"

#include "base/log.h"
#include "crypto/random.h"

namespace kz::storage {
namespace {

constexpr std::size_t kNonceBytes = 8;

Taken refuse(const Watched& watched, const HostData& before) {
    const HostData& seen = watched.last.unverified ? *watched.last.unverified : before;
    return {.refused = StillAlive{seen, watched.change_age}};
}

// A write by which somebody else turned out to be faster is no error: it is an answer.
Result<Taken> beaten(const Taking& taking) {
    KZ_TRY(HostDataRead now, taking.area.read());
    return Taken{.refused = StillAlive{std::move(now.data), Milliseconds(0)}};
}

}  // namespace

Result<Claim> make_claim(const Owner& self) {
    KZ_TRY(const Bytes nonce, crypto::random_bytes(kNonceBytes));
    return Claim{.by = self, .nonce = to_hex(nonce)};
}

Result<Taken> settle_ownership(const Taking& taking) {
    KZ_TRY(HostDataRead mine, taking.area.read());
    if (!mine.data.owner || !mine.data.owner->same_host(taking.self) || !mine.data.claim)
        return beaten(taking);
    for (bool quiet = false; !quiet;) {
        KZ_TRY(const HostDataProbe first, HostDataArea::probe(taking.volume));
        KZ_TRY(const HostDataRead now, taking.area.read());
        if (now.mac != mine.mac) return beaten(taking);
        KZ_TRY(const Watched watched, watch_host_data(taking, first, taking.timings.takeover));
        // A late write that fell into the slot that does not count is no owner; but its writer may have more.
        quiet = !watched.changed;
    }
    return finish_taking(taking, std::move(mine.data));
}

Result<Taken> finish_taking(const Taking& taking, HostData mine) {
    mine.claim.reset();
    mine.last_update = utc_timestamp();
    Taken taken;
    for (int slot = 0; slot < 2; ++slot) {
        const Result<HostDataRead> written = taking.area.write(mine);
        if (!written && written.error().code() == Errc::busy) return beaten(taking);
        if (!written) return std::unexpected(written.error());
        taken.data = written->data;
    }
    return taken;
}

Result<Taken> take_over(const Taking& taking, const HostDataRead& found) {
    KZ_TRY(const HostDataProbe first, HostDataArea::probe(taking.volume));
    KZ_TRY(const Watched watched, watch_host_data(taking, first, watch_span(found.data, taking.timings)));
    if (watched.changed) return refuse(watched, found.data);
    HostData next = found.data;
    next.last_update = utc_timestamp();
    next.change_owner(taking.self, next.last_update);
    next.handover.reset();
    KZ_TRY(next.claim, make_claim(taking.self));
    for (int slot = 0; slot < 2; ++slot) {
        const Result<HostDataRead> written = taking.area.write(next);
        if (written) continue;
        if (written.error().code() == Errc::busy) return beaten(taking);
        return std::unexpected(written.error());
    }
    return settle_ownership(taking);
}

}  // namespace kz::storage
