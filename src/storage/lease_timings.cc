#include "storage/lease_timings.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace kz::storage {

std::string render_duration(Milliseconds span) {
    if (span.count() % 1000 == 0) return fmt::format("{}s", span.count() / 1000);
    return fmt::format("{}ms", span.count());
}

Result<void> LeaseTimings::check() const {
    using Named = std::pair<std::string_view, Milliseconds>;
    const std::array<Named, 6> all{Named{"lease.renew", renew},      {"lease.pause", pause},
                                   {"lease.fence", fence},           {"lease.takeover", takeover},
                                   {"lease.claim-wait", claim_wait}, {"lease.claim-fresh", claim_fresh}};
    for (const auto& [name, span] : all) {
        if (span.count() < 1) return fail(Errc::invalid_argument, "{} must be longer than nothing", name);
    }
    const auto shorter = [](Named low, Named high) -> Result<void> {
        if (low.second < high.second) return {};
        return fail(Errc::invalid_argument, "{} ({}) must be shorter than {} ({})", low.first,
                    render_duration(low.second), high.first, render_duration(high.second));
    };
    const auto times = [](Named low, int factor, Named high) -> Result<void> {
        if (low.second * factor <= high.second) return {};
        return fail(Errc::invalid_argument, "{} ({}) must be at least {} times {} ({})", high.first,
                    render_duration(high.second), factor, low.first, render_duration(low.second));
    };
    KZ_CHECK(times(all[0], 3, all[1]));
    KZ_CHECK(shorter(all[1], all[2]));
    KZ_CHECK(shorter(all[2], all[3]));
    KZ_CHECK(times(all[5], 2, all[4]));
    return shorter(all[4], all[3]);
}

}  // namespace kz::storage
