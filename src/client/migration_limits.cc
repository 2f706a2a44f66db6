#include "client/migration_limits.h"

#include "monitor/control.h"

namespace kz::client {
namespace {

constexpr std::chrono::seconds kAnswerTime{10};

}  // namespace

Result<void> limit_migration(const HostPaths& paths, const std::string& zone, std::uint64_t bandwidth_bytes) {
    Result<monitor::ControlClient> control = monitor::ControlClient::connect(paths, zone);
    if (!control && control.error().code() == Errc::not_found)
        return fail(Errc::wrong_state, "no live migration of the zone is under way");
    if (!control) return std::unexpected(std::move(control).error());
    KZ_CHECK(control->call({{"op", "limit-move"}, {"bandwidth_bytes", bandwidth_bytes}},
                           Deadline::after(kAnswerTime)));
    return {};
}

}  // namespace kz::client
