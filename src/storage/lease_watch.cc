#include "storage/lease_watch.h"

#include <algorithm>

namespace kz::storage {
namespace {

constexpr int kLooksPerTakeover = 20;
constexpr int kSlowestLook = 8;

struct Look {
    Result<HostDataProbe> probe;
    BootTime begun;
    BootTime ended;
    // Why it says nothing about the owner; empty: it does.
    std::string useless{};
};

Look look_at(const Taking& taking) {
    const BootTime begun = taking.clock.now();
    Look look{.probe = HostDataArea::probe(taking.volume), .begun = begun, .ended = taking.clock.now()};
    if (!look.probe) {
        look.useless = look.probe.error().message();
    } else if (look.ended - look.begun > taking.timings.takeover / kSlowestLook) {
        look.useless = "the storage answers slowly";
    }
    return look;
}

Milliseconds since(BootTime then, BootTime now) {
    return std::chrono::ceil<Milliseconds>(now - then);
}

}  // namespace

Milliseconds watch_span(const std::optional<HostData>& data, const LeaseTimings& mine) {
    if (!data || !data->lease) return mine.takeover;
    return std::max(mine.takeover, data->lease->fence + mine.margin());
}

Result<Watched> watch_host_data(const Taking& taking, const HostDataProbe& first, Milliseconds span) {
    std::optional<BootTime> quiet_since;
    BootTime last_useful = taking.clock.now();
    while (true) {
        const Look look = look_at(taking);
        if (look.probe && look.probe->fingerprint != first.fingerprint) {
            return Watched{.last = *look.probe,
                           .changed = true,
                           .last_look = look.begun,
                           .change_age = since(last_useful, look.ended)};
        }
        if (!look.useless.empty()) {
            quiet_since.reset();
        } else {
            last_useful = look.begun;
            if (!quiet_since) quiet_since = look.ended;
            if (look.begun - *quiet_since >= span)
                return Watched{.last = *look.probe, .last_look = look.begun};
        }
        const auto quiet = quiet_since ? std::max(look.begun - *quiet_since, BootClock::duration(0))
                                       : BootClock::duration(0);
        if (taking.progress) taking.progress(std::chrono::ceil<Milliseconds>(span - quiet), look.useless);
        const BootClock::duration step = taking.timings.takeover / kLooksPerTakeover;
        KZ_CHECK(taking.clock.wait(std::clamp<BootClock::duration>(span - quiet, step / 10, step),
                                   taking.cancel_fd));
    }
}

}  // namespace kz::storage
